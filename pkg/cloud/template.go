package cloud

// TemplateSpec is what a user asks of machines, in plain values (an EC2NodeClass spec).
type TemplateSpec struct {
	Name            string
	Images          []ImageTerm // ORed, 1..30
	Subnets         []Selector  // ORed, 1..30
	SecurityGroups  []Selector  // ORed, 1..30
	Role            string      // exactly one of Role and InstanceProfile
	InstanceProfile string
	UserData        string // merged with the bootstrap of the image's family
	BlockDevices    []BlockDevice
	InstanceStore   bool // pods' ephemeral storage is on the type's own NVMe disks, as one RAID 0, where it has any
	Metadata        MetadataOptions
	Tags            map[string]string
	DetailedMonitor bool
	AssociatePublic *bool
}

// ImageTerm selects images by exactly one of Alias, ID, SSMParameter, or Name and Tags with Owner.
type ImageTerm struct {
	Alias        string // family@version: al2023@latest, bottlerocket@1.20.0
	ID           string // ami-0123456789abcdef0
	SSMParameter string
	Name         string // may hold * wildcards
	Owner        string // account ID, self, amazon
	Tags         map[string]string
}

// Selector selects subnets or security groups by ID, by Name (security groups only), or by Tags ("*": any value).
type Selector struct {
	ID   string
	Name string
	Tags map[string]string
}

// BlockDevice is one EBS volume of a machine.
type BlockDevice struct {
	DeviceName          string // /dev/xvda
	Root                bool
	VolumeType          string // gp3
	SizeGiB             int64
	IOPS                int64 // 0: the type's default
	ThroughputMiBps     int64 // 0: the type's default
	Encrypted           bool
	KMSKeyID            string
	SnapshotID          string
	DeleteOnTermination bool
}

// MetadataOptions are the IMDS settings of a machine.
type MetadataOptions struct {
	HTTPEndpoint string // enabled, disabled
	HopLimit     int32  // 1..64
	HTTPTokens   string // required, optional
	IPv6         string // enabled, disabled
}

// Template is a TemplateSpec with everything looked up. It is a value: equal content launches equal machines.
type Template struct {
	Spec             TemplateSpec
	Family           string // al2023, bottlerocket, custom: decides the form of the user data
	Images           []Image
	Subnets          []Subnet
	SecurityGroupIDs []string
	InstanceProfile  string // name
}

// Image is a machine image for one architecture.
type Image struct {
	ID           string
	Name         string
	Architecture string // amd64, arm64
	Variant      string // nvidia, neuron, standard
}

// Subnet is where machines of a zone get their address.
type Subnet struct {
	ID            string
	Zone          string
	ZoneID        string
	FreeAddresses int64
}
