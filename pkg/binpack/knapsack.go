package binpack

// part is a number of pods of one item of a job.
type part struct{ item, count int }

const mostGPUUnits = 32 // more GPU units than this are not counted exactly by a bound

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// resized answers a slice of n zeros, in the memory of s if it is enough.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
