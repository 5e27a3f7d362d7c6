package cloud

import (
	"testing"

	"pgregory.net/rapid"
)

func TestDollars(t *testing.T) {
	for text, want := range map[string]int64{
		"0.526": 526_000, "3.912": 3_912_000, "12": 12_000_000, "0.3785300000": 378_530, "0.0000001": 1, "999999999.999999": 999_999_999_999_999,
	} {
		got, err := ParseDollars(text)
		if err != nil || got != want {
			t.Errorf("ParseDollars(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".5", "-1", "1e3", "1.2.3", "1,5", "5.", "+1", " 1", "NaN", "١", "1234567890"} {
		if got, err := ParseDollars(text); err == nil {
			t.Errorf("ParseDollars(%q) = %d, want an error", text, got)
		}
	}
}

func FuzzParseDollars(f *testing.F) {
	for _, seed := range []string{"0.526", "1", "", "999999999.9999999", "0.0000005", "1e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := ParseDollars(text); err == nil && got < 0 {
			t.Errorf("ParseDollars(%q) = %d", text, got)
		}
	})
}

func TestDollarsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Int64Range(0, 999_999_999_999_999).Draw(t, "micro")
		got, err := ParseDollars(FormatDollars(want))
		if err != nil || got != want {
			t.Fatalf("%d became %q and that %d, %v", want, FormatDollars(want), got, err)
		}
	})
}
