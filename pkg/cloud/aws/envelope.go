package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// envelope is an event as EventBridge writes it, the part that is read.
type envelope struct {
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Time       time.Time       `json:"time"`
	Detail     json.RawMessage `json:"detail"`
}

type instanceDetail struct {
	InstanceID string              `json:"instance-id"`
	State      cloud.InstanceState `json:"state"`
}

type healthDetail struct {
	Service    string `json:"service"`
	Category   string `json:"eventTypeCategory"`
	TypeCode   string `json:"eventTypeCode"`
	StatusCode string `json:"statusCode"`
	StartTime  string `json:"startTime"`
	Affected   []struct {
		EntityValue string `json:"entityValue"`
	} `json:"affectedEntities"`
}

// spotWarning is how long before it takes a spot machine EC2 says so.
const spotWarning = 2 * time.Minute

var instanceIDForm = regexp.MustCompile(`^i-[0-9a-f]{8,17}$`)

// The kinds of events that are heeded.
const (
	eventSpot      = "EC2 Spot Instance Interruption Warning"
	eventRebalance = "EC2 Instance Rebalance Recommendation"
	eventState     = "EC2 Instance State-change Notification"
	eventHealth    = "AWS Health Event"
)

// parseEnvelope answers at least one notice for each message: what it means, Irrelevant, or Unreadable with the cause.
func parseEnvelope(messageID string, body []byte) []cloud.Notice {
	notices, err := readEnvelope(messageID, body)
	if err != nil {
		return []cloud.Notice{{ID: messageID, Kind: cloud.Unreadable, Detail: err.Error()}}
	}
	return notices
}

func readEnvelope(messageID string, body []byte) ([]cloud.Notice, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("reading the event: %w", err)
	}
	if e.DetailType == "" || e.Source == "" {
		return nil, errors.New("not an EventBridge event: detail-type or source is missing")
	}
	base := cloud.Notice{ID: messageID, Kind: cloud.Irrelevant, At: e.Time, Detail: e.DetailType}
	switch {
	case e.Source == "aws.ec2" && e.DetailType == eventSpot:
		base.Kind = cloud.SpotInterruption
		if !e.Time.IsZero() {
			base.Deadline = e.Time.Add(spotWarning)
		}
		return readInstance(base, e.Detail)
	case e.Source == "aws.ec2" && e.DetailType == eventRebalance:
		base.Kind = cloud.Rebalance
		return readInstance(base, e.Detail)
	case e.Source == "aws.ec2" && e.DetailType == eventState:
		base.Kind = cloud.StateChange
		return readInstance(base, e.Detail)
	case e.Source == "aws.health" && e.DetailType == eventHealth:
		return readHealth(base, e.Detail)
	}
	return []cloud.Notice{base}, nil
}

// readInstance reads an event about one machine. A state that does not end a machine is nothing to act on.
func readInstance(n cloud.Notice, detail json.RawMessage) ([]cloud.Notice, error) {
	var d instanceDetail
	if err := unmarshalDetail(detail, &d); err != nil {
		return nil, err
	}
	if !instanceIDForm.MatchString(d.InstanceID) {
		return nil, fmt.Errorf("%s: instance-id %.40q is not the ID of an instance", n.Detail, d.InstanceID)
	}
	if n.Kind != cloud.StateChange {
		n.InstanceID = d.InstanceID
		return []cloud.Notice{n}, nil
	}
	switch d.State {
	case cloud.InstanceStopping, cloud.InstanceStopped, cloud.InstanceShuttingDown, cloud.InstanceTerminated:
		n.InstanceID, n.State = d.InstanceID, d.State
	case cloud.InstancePending, cloud.InstanceRunning:
		n.Kind = cloud.Irrelevant
	default:
		return nil, fmt.Errorf("%s: state %.40q is unknown", n.Detail, d.State)
	}
	return []cloud.Notice{n}, nil
}

// readHealth reads a scheduled change of EC2: one notice for each machine that it names.
func readHealth(base cloud.Notice, detail json.RawMessage) ([]cloud.Notice, error) {
	var d healthDetail
	if err := unmarshalDetail(detail, &d); err != nil {
		return nil, err
	}
	if d.Service != "EC2" || d.Category != "scheduledChange" || d.StatusCode == "closed" {
		return []cloud.Notice{base}, nil
	}
	var notices []cloud.Notice
	seen := map[string]bool{}
	for _, entity := range d.Affected {
		id := entity.EntityValue
		if !instanceIDForm.MatchString(id) || seen[id] {
			continue
		}
		seen[id] = true
		n := base
		n.ID, n.Kind, n.InstanceID = base.ID+"/"+id, cloud.ScheduledChange, id
		n.Deadline, n.Detail = healthTime(d.StartTime), strings.TrimSpace(d.TypeCode)
		notices = append(notices, n)
	}
	if len(notices) == 0 {
		return []cloud.Notice{base}, nil
	}
	return notices, nil
}

// unmarshalDetail refuses a detail that is missing or null: an event without its detail says nothing.
func unmarshalDetail(detail json.RawMessage, into any) error {
	if trimmed := bytes.TrimSpace(detail); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return errors.New("the event has no detail")
	}
	if err := json.Unmarshal(detail, into); err != nil {
		return fmt.Errorf("reading the event's detail: %w", err)
	}
	return nil
}

// healthTime reads the forms in which AWS Health has written times; zero if it is none of them.
func healthTime(text string) time.Time {
	for _, layout := range []string{time.RFC1123, "Mon, 2 Jan 2006 15:04:05 MST", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
