package wire

import (
	"net/http"
	"slices"

	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// parameter is a public parameter that names an image.
func (s *Server) parameter(name string) (map[string]any, bool) {
	images := s.Cloud.Network().Images
	i := slices.IndexFunc(images, func(i sim.Image) bool { return slices.Contains(i.Parameters, name) })
	if i < 0 {
		return nil, false
	}
	return map[string]any{
		"Name": name, "Type": "String", "Value": images[i].ID, "Version": 1, "DataType": "text",
		"ARN": "arn:aws:ssm:" + s.Cloud.Region() + "::parameter" + name, "LastModifiedDate": 1785542400.0,
	}, true
}

func (s *Server) getParameter(_ *http.Request, in struct{ Name string }) (any, error) {
	p, found := s.parameter(in.Name)
	if !found {
		return nil, badRequest("ParameterNotFound", "Parameter %s not found.", in.Name)
	}
	return map[string]any{"Parameter": p}, nil
}

func (s *Server) getParameters(_ *http.Request, in struct{ Names []string }) (any, error) {
	if n := len(in.Names); n < 1 || n > 10 {
		return nil, badRequest("ValidationException", "there are %d names; want 1 to 10", n)
	}
	found, invalid := []any{}, []string{}
	for _, name := range in.Names {
		if p, known := s.parameter(name); known {
			found = append(found, p)
		} else {
			invalid = append(invalid, name)
		}
	}
	return map[string]any{"Parameters": found, "InvalidParameters": invalid}, nil
}
