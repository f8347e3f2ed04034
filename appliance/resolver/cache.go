package resolver

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// maxCachedSize bounds one cached answer, in octets: longer ones are rare and
// would let strangers decide how much memory the cache takes.
const maxCachedSize = 4096

// cache keeps answers until their TTL ends, and forgets those that were not
// used for longest when it is full.
type cache struct {
	most int
	now  func() time.Time

	mu    sync.Mutex
	order *list.List // front: used last
	items map[cacheKey]*list.Element
}

type cacheKey struct {
	name  string
	qtype uint16
}

type cacheItem struct {
	key     cacheKey
	res     *result
	expires time.Time
}

func newCache(most int, now func() time.Time) *cache {
	return &cache{most: most, now: now, order: list.New(), items: make(map[cacheKey]*list.Element)}
}

// get gives an answer with the TTL that is left.
func (c *cache) get(name string, qtype uint16) (*result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.items[cacheKey{name, qtype}]
	if !ok {
		return nil, false
	}
	item := el.Value.(*cacheItem)
	left := item.expires.Sub(c.now())
	if left <= 0 {
		c.drop(el)
		return nil, false
	}
	c.order.MoveToFront(el)
	res := *item.res
	res.ttl = left
	return &res, true
}

func (c *cache) put(name string, qtype uint16, res *result) {
	if c.most <= 0 || !res.cached || res.ttl <= 0 || size(res.rrs) > maxCachedSize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{name, qtype}
	if el, ok := c.items[key]; ok {
		c.drop(el)
	}
	for c.order.Len() >= c.most {
		c.drop(c.order.Back())
	}
	c.items[key] = c.order.PushFront(&cacheItem{key: key, res: res, expires: c.now().Add(res.ttl)})
}

func (c *cache) drop(el *list.Element) {
	delete(c.items, el.Value.(*cacheItem).key)
	c.order.Remove(el)
}

func size(rrs []dns.RR) int {
	n := 0
	for _, rr := range rrs {
		n += dns.Len(rr)
	}
	return n
}
