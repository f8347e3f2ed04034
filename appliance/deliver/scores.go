package deliver

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"hauspost/appliance/envelope"
)

// Bounds of one score and of a weight, whatever filters and settings say.
const (
	maxScore  = 1000
	maxWeight = 1000
)

// unit is the part of a point in which scores are counted: whole numbers have a
// sum that does not depend on their order.
const unit = 10_000

// score is one contribution to the sum, clamped and weighed.
type score struct {
	filter, symbol, detail string
	units                  int64
	// stage is that of a filter that was asked once for each recipient, and
	// empty for others.
	stage string
}

type scores []score

// count gives the points of one score in units.
func (p *Policy) count(filter string, points float64) int64 {
	if math.IsNaN(points) {
		return 0
	}
	bound, ok := p.bound(filter)
	if !ok {
		bound = maxScore
	}
	return p.weigh(filter, min(max(points, -bound), bound))
}

// bound gives the most points that a filter may have for one message, if there
// is such a bound.
func (p *Policy) bound(filter string) (points float64, ok bool) {
	points = p.MaxPoints[filter]
	return points, points > 0 && points < maxScore
}

// weigh gives weighed points in units.
func (p *Policy) weigh(filter string, points float64) int64 {
	weight, ok := p.Weights[filter]
	if !ok || math.IsNaN(weight) {
		weight = 1
	}
	return int64(math.Round(points * min(max(weight, 0), maxWeight) * unit))
}

// bounded takes from the scores of each filter what they have together beyond
// its bound: many small ones would be as good as a large one otherwise.
func (s scores) bounded(p *Policy) scores {
	sums := map[string]int64{}
	for _, n := range s {
		sums[n.filter] += n.units
	}
	for _, filter := range slices.Sorted(maps.Keys(sums)) {
		points, ok := p.bound(filter)
		if !ok {
			continue
		}
		most, sum := p.weigh(filter, points), sums[filter]
		if less := min(max(sum, -most), most) - sum; less != 0 {
			s = append(s, score{filter: filter, detail: "it counts for " + number(points) + " points at most", units: less})
		}
	}
	return s
}

// add takes a score. A filter that says the same of several recipients says it
// once: otherwise mail to many would look worse. The larger one counts.
func (s *scores) add(n score) {
	if n.stage != "" {
		i := slices.IndexFunc(*s, func(o score) bool { return o.stage == n.stage && o.filter == n.filter && o.symbol == n.symbol })
		if i >= 0 {
			old := &(*s)[i]
			if size(n.units) > size(old.units) || size(n.units) == size(old.units) && n.units > old.units {
				*old = n
			}
			return
		}
	}
	*s = append(*s, n)
}

func size(n int64) int64 { return max(n, -n) }

// total is the sum in points.
func (s scores) total() float64 {
	var sum int64
	for _, n := range s {
		sum += n.units
	}
	return float64(sum) / unit
}

// maxNamed is how many contributions are named, maxSaid how much of a text of a
// filter is repeated, in octets.
const (
	maxNamed = 3
	maxSaid  = 120
)

// say tells the sum and what contributed most to it. against leaves out what
// speaks for the message.
func (s scores) say(against bool) string {
	list := slices.DeleteFunc(slices.Clone(s), func(n score) bool { return n.units == 0 || against && n.units < 0 })
	slices.SortFunc(list, func(a, b score) int {
		return cmp.Or(cmp.Compare(size(b.units), size(a.units)), cmp.Compare(b.units, a.units),
			strings.Compare(a.filter, b.filter), strings.Compare(a.symbol, b.symbol), strings.Compare(a.detail, b.detail))
	})
	words := make([]string, 0, maxNamed+1)
	for _, n := range list[:min(len(list), maxNamed)] {
		w := n.filter + " " + number(float64(n.units)/unit)
		if n.symbol != "" {
			w += " for " + n.symbol
		}
		if n.detail != "" {
			w += " (" + n.detail + ")"
		}
		words = append(words, w)
	}
	if more := len(list) - maxNamed; more > 0 {
		words = append(words, strconv.Itoa(more)+" more")
	}
	return number(s.total()) + " points: " + strings.Join(words, ", ")
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// scoreOf reads an effect.
func scoreOf(p *Policy, r *envelope.Run, e *envelope.Effect) score {
	n := score{filter: r.Filter, symbol: line(e.Symbol, maxSymbol), detail: line(e.Detail, maxSaid), units: p.count(r.Filter, e.Points)}
	if r.Stage == "on_rcpt" {
		n.stage = r.Stage
	}
	return n
}
