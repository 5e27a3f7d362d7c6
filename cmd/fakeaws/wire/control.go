package wire

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// control serves what AWS has not got, for tests and demos:
//
//	GET  /_fake/journal               Journal
//	GET  /_fake/instances             []Instance, terminated ones included
//	POST /_fake/interrupt?instance=ID spot warns now, and takes the machine at the deadline
//	POST /_fake/stock?offering=K&count=N   N machines of the offerings (type/zone/market, globs), or unlimited
//	POST /_fake/fault                 the body is one line of sim's script, counted from now
//
// Errors are JSON: {"message": "..."} with status 400, or 404 for a machine that is gone.
func (s *Server) control() {
	s.mux.HandleFunc("GET /_fake/journal", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.journal()) })
	s.mux.HandleFunc("GET /_fake/instances", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.instances()) })
	s.mux.HandleFunc("POST /_fake/interrupt", func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.Cloud.Interrupt(r.URL.Query().Get("instance")))
	})
	s.mux.HandleFunc("POST /_fake/stock", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		reply(w, s.inject("stock "+query.Get("offering")+" "+query.Get("count")))
	})
	s.mux.HandleFunc("POST /_fake/fault", func(w http.ResponseWriter, r *http.Request) {
		line, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			reply(w, err)
			return
		}
		reply(w, s.inject(string(line)))
	})
}

func (s *Server) inject(line string) error {
	f, err := sim.ParseLine(line)
	if err != nil {
		return err
	}
	s.Log.Info("injecting a fault", "fault", f.String())
	s.Cloud.Inject(f)
	return nil
}

func reply(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, cloud.ErrGone):
		writeJSON(w, http.StatusNotFound, map[string]string{"message": err.Error()})
	case err != nil:
		writeJSON(w, http.StatusBadRequest, map[string]string{"message": err.Error()})
	default:
		writeJSON(w, http.StatusOK, map[string]any{})
	}
}

// Journal is what /_fake/journal answers.
type Journal struct {
	Calls     map[string]int `json:"calls"`    // by action, refused ones included
	Launches  []Launch       `json:"launches"` // every CreateFleet, in order
	Instances []Instance     `json:"instances"`
	// Kept are the names of the launch templates and instance profiles that are there, sorted.
	Kept []string `json:"kept"`
}

// Launch is one CreateFleet as it arrived.
type Launch struct {
	At     time.Time         `json:"at"`
	Token  string            `json:"token"`
	Tags   map[string]string `json:"tags"`
	Result string            `json:"result"` // instance IDs, empty for none, or the error
}

// Instance is a machine and its life. Times that have not come, or will not, are left out.
type Instance struct {
	ID             string            `json:"id"`
	InstanceType   string            `json:"instanceType"`
	Zone           string            `json:"zone"`
	Market         string            `json:"market"`
	MicroUSDPerH   int64             `json:"microUSDPerHour"`
	State          string            `json:"state"`
	StateReason    string            `json:"stateReason,omitempty"`
	Token          string            `json:"token"`
	Tags           map[string]string `json:"tags"`
	PrivateDNS     string            `json:"privateDNS"`
	GPUs           int               `json:"gpus"`
	LaunchedAt     time.Time         `json:"launchedAt"`
	RunningAt      time.Time         `json:"runningAt,omitzero"`
	JoinAt         time.Time         `json:"joinAt,omitzero"`
	GPUAt          time.Time         `json:"gpuAt,omitzero"`
	InterruptedAt  time.Time         `json:"interruptedAt,omitzero"`
	Deadline       time.Time         `json:"deadline,omitzero"`
	ShuttingDownAt time.Time         `json:"shuttingDownAt,omitzero"`
	TerminatedAt   time.Time         `json:"terminatedAt,omitzero"`
}

func (s *Server) journal() Journal {
	journal := s.Cloud.Journal()
	answer := Journal{Calls: journal.Counts, Launches: []Launch{}, Instances: s.instances()}
	for _, call := range journal.Calls {
		if call.Name == "CreateFleet" {
			answer.Launches = append(answer.Launches, Launch{At: call.At, Token: call.Token, Tags: call.Tags, Result: call.Result})
		}
	}
	answer.Kept = s.kept()
	return answer
}

// kept leaves out the profiles that the account had at first.
func (s *Server) kept() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, given := slices.AppendSeq([]string{}, maps.Keys(s.templates.byName)), s.Cloud.Network().Profiles
	for name := range s.profiles {
		if _, had := given[name]; !had {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *Server) instances() []Instance {
	prices := map[cloud.OfferingKey]int64{}
	for _, o := range s.Cloud.Offerings() {
		prices[o.OfferingKey] = o.PriceMicroUSDPerHour
	}
	answer := []Instance{}
	for _, m := range s.Cloud.Machines() {
		answer = append(answer, Instance{
			ID: m.ID, InstanceType: m.Key.InstanceType, Zone: m.Key.Zone, Market: string(m.Key.Market), MicroUSDPerH: prices[m.Key],
			State: string(m.State), StateReason: m.StateReason, Token: m.Token, Tags: m.Tags, PrivateDNS: m.PrivateDNS, GPUs: m.GPUs,
			LaunchedAt: m.LaunchedAt, RunningAt: m.RunningAt, JoinAt: m.JoinAt, GPUAt: m.GPUAt, InterruptedAt: m.InterruptedAt,
			Deadline: m.Deadline, ShuttingDownAt: m.ShuttingDownAt, TerminatedAt: m.TerminatedAt,
		})
	}
	return answer
}
