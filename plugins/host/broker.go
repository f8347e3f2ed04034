package host

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"hauspost/plugins/abi"
	"hauspost/plugins/host/link"
)

const (
	// dnsTime is how long one DNSRequest may take, brokerTime how long a plugin
	// may wait for all its answers for one event.
	dnsTime    = 5 * time.Second
	brokerTime = 30 * time.Second
)

// asks is what a step has asked for.
type asks struct {
	n, lookups, services int
	waited               time.Duration
}

// ask takes a question. The file is its to close.
func (w *worker) ask(a *link.Ask, file *os.File) string {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	f, problem := w.flight(a.Run, a.Position)
	if problem == "" && f.asks.n >= abi.MaxCalls {
		problem = "it asked more often than a plugin may"
	}
	if problem != "" {
		if file != nil {
			_ = file.Close()
		}
		return problem
	}
	f.asks.n++
	f.pause()
	b := &broker{h: w.p.h, step: f.steps[len(f.results)], asks: f.asks}
	ctx := f.asking()
	go func() {
		if file != nil {
			defer file.Close()
		}
		f.answer(ctx, a, b, file)
	}()
	return ""
}

// answer finds an answer and sends it.
func (f *flight) answer(ctx context.Context, a *link.Ask, b *broker, file *os.File) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, brokerTime-b.asks.waited)
	defer cancel()
	errno, data := abi.ErrBudget, []byte(nil)
	if b.asks.waited < brokerTime {
		data, errno = b.answer(ctx, a, file)
	}
	p := f.w.p
	p.mu.Lock()
	if f.landed {
		p.mu.Unlock()
		return
	}
	b.asks.waited += time.Since(began)
	f.asks = b.asks
	for _, d := range b.dns {
		f.record.addDNS(d.Question, d.Answer)
	}
	for _, s := range b.replies {
		f.record.addService(s)
	}
	f.resume()
	p.mu.Unlock()
	if err := f.w.conn.Send(&link.Answer{ID: a.ID, Errno: errno, Data: data}); err != nil {
		p.mu.Lock()
		f.w.kill("it could not be answered: " + err.Error())
		p.mu.Unlock()
	}
}

// broker answers one question.
type broker struct {
	h    *Host
	step *step
	asks asks
	// What goes into the record.
	dns     []DNSRecord
	replies []ServiceRecord
}

func (b *broker) answer(ctx context.Context, a *link.Ask, file *os.File) ([]byte, abi.Errno) {
	if len(a.Data) > abi.MaxRequest {
		return nil, abi.ErrTooBig
	}
	if file != nil && a.Kind != link.AskService {
		return nil, abi.ErrInvalid
	}
	switch a.Kind {
	case link.AskKeys:
		return b.keys(ctx, a.Data)
	case link.AskDNS:
		return b.lookups(ctx, a.Data)
	}
	return b.service(ctx, a.Data, file)
}

func (b *broker) keys(ctx context.Context, data []byte) ([]byte, abi.Errno) {
	q := b.step.plugin
	var request abi.KeysRequest
	switch {
	case !q.Grants.Keys:
		return nil, abi.ErrDenied
	case request.Decode(data) != nil:
		return nil, abi.ErrInvalid
	case len(request.Keys) > abi.MaxKeys:
		return nil, abi.ErrTooBig
	case b.h.o.Keys == nil:
		return nil, abi.ErrAgain
	}
	for _, key := range request.Keys {
		if len(key) == 0 || len(key) > abi.MaxKey {
			return nil, abi.ErrInvalid
		}
	}
	values, err := b.h.o.Keys.Get(ctx, q.ID, request.Keys, time.Unix(0, b.step.time))
	if err != nil || len(values) != len(request.Keys) {
		b.h.o.Logger.Warn("A plugin's values could not be read.", "plugin", q.ID, "error", err)
		return nil, abi.ErrIO
	}
	return capped((&abi.KeysReply{Values: values}).Append(nil))
}

func capped(reply []byte) ([]byte, abi.Errno) {
	if len(reply) > abi.MaxReply {
		return nil, abi.ErrTooBig
	}
	return reply, 0
}

var questionTypes = []string{"A", "AAAA", "MX", "NS", "PTR", "TXT", "CNAME"}

// lookups asks all questions of a request at once.
func (b *broker) lookups(ctx context.Context, data []byte) ([]byte, abi.Errno) {
	g := &b.step.plugin.Grants
	var request abi.DNSRequest
	switch {
	case len(g.DNS) == 0:
		return nil, abi.ErrDenied
	case request.Decode(data) != nil:
		return nil, abi.ErrInvalid
	case len(request.Questions) > abi.MaxQuestions:
		return nil, abi.ErrTooBig
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	type found struct {
		i int
		abi.Answer
	}
	reply := abi.DNSReply{Answers: make([]abi.Answer, len(request.Questions))}
	come := make(chan found, len(request.Questions))
	asked := make([]bool, len(request.Questions))
	wait := 0
	for i, q := range request.Questions {
		a := &reply.Answers[i]
		q.Type = strings.ToUpper(q.Type)
		request.Questions[i] = q
		switch {
		case !isName(q.Name) || !slices.Contains(questionTypes, q.Type):
			a.Status = int32(abi.ErrInvalid)
		case !g.AllowsDNS(q.Name):
			a.Status = int32(abi.ErrDenied)
		case b.asks.lookups >= abi.MaxLookups:
			a.Status = int32(abi.ErrBudget)
		case b.step.replay != nil:
			b.asks.lookups++
			asked[i] = true
			*a = b.step.replay.answer(q)
			a.Records = slices.Clone(a.Records)
		case b.h.o.DNS == nil:
			a.Status = int32(abi.ErrAgain)
		default:
			b.asks.lookups++
			asked[i] = true
			a.Status = int32(abi.ErrAgain)
			wait++
			go func() { come <- found{i, b.h.o.DNS.Lookup(ctx, q)} }()
		}
	}
	for late := false; wait > 0 && !late; {
		select {
		case f := <-come:
			f.Records = slices.Clone(f.Records) // they may be in a cache
			reply.Answers[f.i] = f.Answer
			wait--
		case <-ctx.Done():
			late = true
		}
	}
	fit(&reply)
	for i, q := range request.Questions {
		if asked[i] {
			b.dns = append(b.dns, DNSRecord{q, reply.Answers[i]})
		}
	}
	return capped(reply.Append(nil))
}

// fit makes answers UTF-8, and those that do not fit into a reply say so.
func fit(reply *abi.DNSReply) {
	size := 0
	for i := range reply.Answers {
		a := &reply.Answers[i]
		n := 16
		for j, r := range a.Records {
			a.Records[j] = strings.ToValidUTF8(r, "\uFFFD")
			n += len(a.Records[j]) + 4
		}
		if size+n > abi.MaxReply-16*abi.MaxQuestions {
			*a = abi.Answer{Status: int32(abi.ErrTooBig)}
			continue
		}
		size += n
	}
}

// isName tells whether a text can be a domain name.
func isName(name string) bool {
	if name == "" || len(name) > 254 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' {
				return false
			}
		}
	}
	return true
}

// service calls a service.
func (b *broker) service(ctx context.Context, data []byte, file *os.File) ([]byte, abi.Errno) {
	q := b.step.plugin
	var request abi.ServiceRequest
	switch {
	case request.Decode(data) != nil, request.With != (file != nil):
		return nil, abi.ErrInvalid
	case !q.Grants.AllowsService(request.Name):
		return nil, abi.ErrDenied
	case b.asks.services >= abi.MaxServices:
		return nil, abi.ErrBudget
	}
	b.asks.services++
	hash := requestHash(&request)
	if b.step.replay != nil {
		return b.replied(hash)(b.step.replay.reply(hash))
	}
	s := b.h.o.Services[request.Name]
	if s == nil {
		return nil, abi.ErrNotFound
	}
	if file != nil {
		// A pipe would keep its reader waiting for ever.
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, abi.ErrInvalid
		}
	}
	answer, err := s.Call(ctx, request.Request, file)
	switch {
	case err != nil:
		b.h.o.Logger.Warn("A service did not answer a plugin.", "plugin", q.ID, "service", request.Name, "error", err)
		return b.replied(hash)(nil, abi.ErrAgain)
	case len(answer) > abi.MaxReply-16:
		return b.replied(hash)(nil, abi.ErrTooBig)
	}
	return b.replied(hash)(answer, 0)
}

// replied notes a reply for the record and encodes it.
func (b *broker) replied(hash string) func(reply []byte, errno abi.Errno) ([]byte, abi.Errno) {
	return func(reply []byte, errno abi.Errno) ([]byte, abi.Errno) {
		b.replies = append(b.replies, ServiceRecord{hash, errno, reply})
		if errno != 0 {
			return nil, errno
		}
		return capped((&abi.ServiceReply{Reply: reply}).Append(nil))
	}
}
