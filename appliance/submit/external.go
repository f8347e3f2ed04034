package submit

import (
	"context"
	"fmt"

	"hauspost/appliance/envelope"
)

// certified gives the mail addresses of the client's certificate, if TLS has
// verified that it was issued by somebody whom the owner trusts for that.
func (s *session) certified() []string {
	state := s.conn.TLS()
	if state == nil || len(state.VerifiedChains) == 0 {
		return nil
	}
	return state.VerifiedChains[0][0].EmailAddresses
}

// externalExchange is EXTERNAL (RFC 4422, appendix A): the certificate says who
// is there, and the client may only say the same.
type externalExchange struct {
	s      *session
	person Person
}

// Person implements Exchange.
func (x *externalExchange) Person() Person { return x.person }

// Next implements Exchange.
func (x *externalExchange) Next(ctx context.Context, response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return []byte{}, false, nil
	}
	p, err := x.s.srv.opt.People.External(ctx, x.s.certified())
	if err != nil {
		return nil, false, fmt.Errorf("finding the account of a certificate: %w", err)
	}
	if len(response) > 0 {
		as, err := envelope.ParseAddress(string(response))
		own, ownErr := envelope.ParseAddress(p.Address)
		if err != nil || ownErr != nil || as.Key() != own.Key() {
			return nil, false, fmt.Errorf("%w: the certificate is that of %s", ErrCredentials, p.Address)
		}
	}
	x.person = p
	return nil, true, nil
}
