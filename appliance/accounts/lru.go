package accounts

import "container/list"

// lru is a map of bounded size that forgets what was not touched for longest.
// It is not safe for concurrent use.
type lru[K comparable, V any] struct {
	most  int
	order *list.List // front: touched last
	items map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{most: max(most, 1), order: list.New(), items: make(map[K]*list.Element)}
}

// get gives a value without touching it.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	el, ok := l.items[key]
	if !ok {
		return value, false
	}
	return el.Value.(*lruItem[K, V]).value, true
}

// put sets a value and touches it.
func (l *lru[K, V]) put(key K, value V) {
	if el, ok := l.items[key]; ok {
		el.Value.(*lruItem[K, V]).value = value
		l.order.MoveToFront(el)
		return
	}
	if l.order.Len() >= l.most {
		oldest := l.order.Back()
		delete(l.items, oldest.Value.(*lruItem[K, V]).key)
		l.order.Remove(oldest)
	}
	l.items[key] = l.order.PushFront(&lruItem[K, V]{key: key, value: value})
}

// drop removes a value.
func (l *lru[K, V]) drop(key K) {
	if el, ok := l.items[key]; ok {
		delete(l.items, key)
		l.order.Remove(el)
	}
}
