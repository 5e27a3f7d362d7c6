locals {
  makes_node_role = var.node_role_arn == ""
  node_role       = local.makes_node_role ? one(aws_iam_role.node[*].arn) : var.node_role_arn
  node_policies = toset(local.makes_node_role ? [
    "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly", "AmazonSSMManagedInstanceCore",
  ] : [])
}

resource "aws_iam_role" "node" {
  count       = local.makes_node_role ? 1 : 0
  name        = "SlipwayNodeRole-${var.cluster_name}"
  description = "Nodes that Slipway launches for the EKS cluster ${var.cluster_name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "MachinesAreNodes"
      Effect    = "Allow"
      Principal = { Service = "ec2.${data.aws_partition.current.dns_suffix}" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each   = local.node_policies
  role       = one(aws_iam_role.node[*].name)
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.key}"
}

resource "aws_eks_access_entry" "node" {
  count         = var.create_access_entry ? 1 : 0
  cluster_name  = var.cluster_name
  principal_arn = local.node_role
  type          = "EC2_LINUX"
}
