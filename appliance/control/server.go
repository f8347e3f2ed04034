package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// maxRequest is the largest request body in octets.
const maxRequest = 1 << 20

// Server answers the admin API for a box.
type Server struct {
	http *http.Server
	// stopping ends when Shutdown begins: what streams ends with it.
	stopping context.Context
}

// The requests that carry something. Each operation is a POST of its request
// to /v1/NAME, answered with its result or an Error.
type (
	nothing     struct{}
	nameRequest struct {
		Name string `json:"name"`
	}
	addressRequest struct {
		Address string `json:"address"`
	}
	passwordRequest struct {
		Address  string `json:"address"`
		Password string `json:"password"`
	}
	disabledRequest struct {
		Address  string `json:"address"`
		Disabled bool   `json:"disabled"`
	}
	sentRequest struct {
		Address string `json:"address"`
		On      bool   `json:"on"`
	}
	domainRequest struct {
		Name    string `json:"name"`
		AliasOf string `json:"alias_of"`
	}
	aliasRequest struct {
		Address string   `json:"address"`
		To      []string `json:"to"`
	}
	settingsAnswer struct {
		Settings
		Text string `json:"text"`
	}
)

// NewServer makes a server for admin.
func NewServer(admin Admin) *Server {
	mux := http.NewServeMux()
	none := func(err error) (nothing, error) { return nothing{}, err }
	handle(mux, "status", func(ctx context.Context, _ nothing) (Status, error) { return admin.Status(ctx) })
	handle(mux, "domains", func(ctx context.Context, _ nothing) ([]Domain, error) { return admin.Domains(ctx) })
	handle(mux, "domain-add", func(ctx context.Context, r domainRequest) (Domain, error) {
		return admin.AddDomain(ctx, r.Name, r.AliasOf)
	})
	handle(mux, "domain-remove", func(ctx context.Context, r nameRequest) (nothing, error) {
		return none(admin.RemoveDomain(ctx, r.Name))
	})
	handle(mux, "accounts", func(ctx context.Context, _ nothing) ([]Account, error) { return admin.Accounts(ctx) })
	handle(mux, "account-add", func(ctx context.Context, r passwordRequest) (Account, error) {
		return admin.AddAccount(ctx, r.Address, r.Password)
	})
	handle(mux, "account-remove", func(ctx context.Context, r addressRequest) (nothing, error) {
		return none(admin.RemoveAccount(ctx, r.Address))
	})
	handle(mux, "account-password", func(ctx context.Context, r passwordRequest) (nothing, error) {
		return none(admin.SetPassword(ctx, r.Address, r.Password))
	})
	handle(mux, "account-disabled", func(ctx context.Context, r disabledRequest) (nothing, error) {
		return none(admin.SetDisabled(ctx, r.Address, r.Disabled))
	})
	handle(mux, "account-sent", func(ctx context.Context, r sentRequest) (nothing, error) {
		return none(admin.SetSentCopy(ctx, r.Address, r.On))
	})
	handle(mux, "aliases", func(ctx context.Context, _ nothing) ([]Alias, error) { return admin.Aliases(ctx) })
	handle(mux, "alias-add", func(ctx context.Context, r aliasRequest) (Alias, error) { return admin.AddAlias(ctx, r.Address, r.To) })
	handle(mux, "alias-remove", func(ctx context.Context, r addressRequest) (nothing, error) {
		return none(admin.RemoveAlias(ctx, r.Address))
	})
	handle(mux, "queue", admin.Queue)
	handle(mux, "queue-show", func(ctx context.Context, r nameRequest) (QueueItem, error) { return admin.QueueShow(ctx, r.Name) })
	handle(mux, "queue-do", admin.QueueDo)
	handle(mux, "dkim", func(ctx context.Context, r nameRequest) ([]DKIMKey, error) { return admin.DKIMKeys(ctx, r.Name) })
	handle(mux, "trace", func(ctx context.Context, r nameRequest) (Trace, error) { return admin.Trace(ctx, r.Name) })
	handle(mux, "config", func(ctx context.Context, _ nothing) (settingsAnswer, error) {
		s, err := admin.Config(ctx)
		return settingsAnswer{Settings: s, Text: s.Text}, err
	})
	handle(mux, "verify", func(ctx context.Context, _ nothing) (VerifyReport, error) { return admin.Verify(ctx) })
	stopping, stop := context.WithCancel(context.Background())
	s := &Server{stopping: stopping,
		http: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}}
	s.http.RegisterOnShutdown(stop)
	mux.HandleFunc("POST /v1/log", func(w http.ResponseWriter, r *http.Request) { s.streamLog(admin, w, r) })
	return s
}

// Serve answers at l until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops: it lets running requests end as long as ctx allows and then
// cuts them off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}

func handle[Q, A any](mux *http.ServeMux, name string, fn func(context.Context, Q) (A, error)) {
	mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		if err := decodeBody(w, r, &q); err != nil {
			answer(w, KindInvalid.status(), &Error{Kind: KindInvalid, Text: "the request cannot be read: " + err.Error()})
			return
		}
		a, err := fn(r.Context(), q)
		if err != nil {
			e := asError(err)
			answer(w, e.Kind.status(), e)
			return
		}
		answer(w, http.StatusOK, a)
	})
}

func decodeBody(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // an error means that the client is gone
}

// streamLog answers with one LogEntry a line for as long as the client stays.
func (s *Server) streamLog(admin Admin, w http.ResponseWriter, r *http.Request) {
	var q LogQuery
	if err := decodeBody(w, r, &q); err != nil {
		answer(w, KindInvalid.status(), &Error{Kind: KindInvalid, Text: "the request cannot be read: " + err.Error()})
		return
	}
	if _, err := parseLevel(q.Level); err != nil {
		answer(w, KindInvalid.status(), asError(err))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	if q.Follow {
		flusher.Flush() // the client waits for the head
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	enc := json.NewEncoder(w)
	admin.Log(ctx, q, func(e LogEntry) error {
		if err := enc.Encode(e); err != nil {
			return err
		}
		if !q.Follow {
			return nil
		}
		return flusher.Flush()
	})
}
