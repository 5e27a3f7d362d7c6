package stories_test

import (
	"fmt"
	"time"

	"github.com/slipway-sh/slipway/test/witness"
)

// limitIsExact: of ten pods six run and four are told how much more the limit would have to be; what drains counts, so the limit
// is never exceeded (see always), and never left unused: also after spot has taken a machine, six run.
func (s *story) limitIsExact() {
	s.Provision(witness.Limit("6"), "g4dn.xlarge", "g4dn.2xlarge", "g4dn.12xlarge", "g4dn.metal", "p3.2xlarge", "p3.8xlarge", "p3.16xlarge")
	work := s.Deployment("work", 10, 1, nil)
	s.Create(work)
	serving := s.PodsRunning(60*time.Second, 6)
	s.HeldByLimit(4, 6)
	victim := s.ClaimOf(serving[0])
	if err := s.AWS.Interrupt(victim.Status.InstanceID); err != nil {
		s.Fatal(err)
	}
	s.Ended(60*time.Second, victim)
	s.PodsRunning(60*time.Second, 6)
	s.HeldByLimit(4, 6)
	most, at := witness.MostGPUs(s.Machines(s.T, s.Title), s.Title)
	if most != 6 {
		s.Errorf("at most %d GPUs at %s, want exactly the limit of 6", most, witness.Clock(at))
	}
	s.Remove(work)
	s.Eventually(60*time.Second, "the machines to go", func() error {
		if living := witness.Alive(s.Machines(s.T, s.Title)); len(living) > 0 {
			return fmt.Errorf("%d are alive", len(living))
		}
		return nil
	})
}
