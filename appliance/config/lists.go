package config

// list tells how a section that is a list is kept.
type list struct {
	count func(*Config) int
	// add adds an element with its defaults.
	add func(*Config)
	// only gives c as if it had the i-th element alone.
	only func(c *Config, i int) *Config
	// written gives a config with one element as it is to be written, and one
	// with the values that need not be written.
	written func(one *Config) (full, implied *Config)
}

// lists are the sections that are lists.
var lists = map[string]list{
	"route": listOf(func(c *Config) *[]Route { return &c.Routes }, Route{},
		func(r Route) (full, implied Route) { r = r.settled(true); return r, r.implied() }),
	"plugin": listOf(func(c *Config) *[]Plugin { return &c.Plugins }, newPlugin,
		func(p Plugin) (full, implied Plugin) { return p, newPlugin }),
	"service": listOf(func(c *Config) *[]Service { return &c.Services }, newService,
		func(s Service) (full, implied Service) { return s, newService }),
}

func listOf[T any](field func(*Config) *[]T, fresh T, written func(T) (full, implied T)) list {
	with := func(e T) *Config {
		c := &Config{}
		*field(c) = []T{e}
		return c
	}
	return list{
		count: func(c *Config) int { return len(*field(c)) },
		add:   func(c *Config) { *field(c) = append(*field(c), fresh) },
		only: func(c *Config, i int) *Config {
			one := *c
			*field(&one) = (*field(c))[i : i+1]
			return &one
		},
		written: func(one *Config) (*Config, *Config) {
			full, implied := written((*field(one))[0])
			return with(full), with(implied)
		},
	}
}

// ofLast makes a field of the last element of a list: the one that is being
// read or written. Where there is none it is that of a fresh one.
func ofLast[E, T any](elements func(*Config) []E, fresh E, field func(*E) *T) func(*Config) *T {
	return func(c *Config) *T {
		all := elements(c)
		if len(all) == 0 {
			e := fresh
			return field(&e)
		}
		return field(&all[len(all)-1])
	}
}

func isList(name string) bool { return lists[name].add != nil }

// each gives c once for every element of a list, as if it had that one alone.
func (c *Config) each(name string) []*Config {
	l := lists[name]
	all := make([]*Config, l.count(c))
	for i := range all {
		all[i] = l.only(c, i)
	}
	return all
}
