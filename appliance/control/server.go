package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
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
	enableRequest struct {
		ID string `json:"id"`
		On bool   `json:"on"`
	}
	removeRequest struct {
		ID     string `json:"id"`
		Forget bool   `json:"forget"`
	}
	orderRequest struct {
		IDs []string `json:"ids"`
	}
	// replayLine is one line of the answer of a replay: the last one has totals
	// or an error.
	replayLine struct {
		Row    *ReplayRow    `json:"row,omitempty"`
		Totals *ReplayTotals `json:"totals,omitempty"`
		Error  *Error        `json:"error,omitempty"`
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
	handlePlugins(mux, admin)
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
	mux.HandleFunc("POST /v1/plugin-replay", func(w http.ResponseWriter, r *http.Request) { s.streamReplay(admin, w, r) })
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

// handlePlugins answers all about plugins but for the replay.
func handlePlugins(mux *http.ServeMux, admin Admin) {
	handle(mux, "plugins", func(ctx context.Context, _ nothing) ([]Plugin, error) { return admin.Plugins(ctx) })
	handle(mux, "plugin-review", admin.PluginReview)
	handle(mux, "plugin-install", admin.PluginInstall)
	handle(mux, "plugin-update", admin.PluginUpdate)
	handle(mux, "plugin-back", func(ctx context.Context, r nameRequest) (Plugin, error) { return admin.PluginBack(ctx, r.Name) })
	handle(mux, "plugin-remove", func(ctx context.Context, r removeRequest) (nothing, error) {
		return nothing{}, admin.PluginRemove(ctx, r.ID, r.Forget)
	})
	handle(mux, "plugin-enable", func(ctx context.Context, r enableRequest) (Plugin, error) { return admin.PluginEnable(ctx, r.ID, r.On) })
	handle(mux, "plugin-order", func(ctx context.Context, r orderRequest) ([]Plugin, error) { return admin.PluginOrder(ctx, r.IDs) })
	handle(mux, "plugin-grant", admin.PluginGrant)
}

// attached is a request with a package, whose octets follow the JSON.
type attached interface{ attachment() *[]byte }

func (r *PluginRequest) attachment() *[]byte { return &r.Package }
func (q *ReplayQuery) attachment() *[]byte   { return &q.Package }

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
	limit := int64(maxRequest)
	a, attached := into.(attached)
	if attached {
		limit += MaxPackage
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	d := json.NewDecoder(body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil || !attached {
		return err
	}
	rest, err := io.ReadAll(io.MultiReader(d.Buffered(), body))
	if rest = bytes.TrimPrefix(rest, []byte("\n")); len(rest) > 0 {
		*a.attachment() = rest
	}
	return err
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

// streamReplay answers with a line for each message as it is done, and a last
// one with the totals or what went wrong.
func (s *Server) streamReplay(admin Admin, w http.ResponseWriter, r *http.Request) {
	var q ReplayQuery
	if err := decodeBody(w, r, &q); err != nil {
		answer(w, KindInvalid.status(), &Error{Kind: KindInvalid, Text: "the request cannot be read: " + err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	enc, flusher := json.NewEncoder(w), http.NewResponseController(w)
	totals, err := admin.PluginReplay(ctx, q, func(row ReplayRow) error {
		if err := enc.Encode(replayLine{Row: &row}); err != nil {
			return err
		}
		return flusher.Flush()
	})
	last := replayLine{Totals: &totals}
	if err != nil {
		last = replayLine{Error: asError(err)}
	}
	enc.Encode(last) // an error means that the client is gone
}
