package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Client is Admin for a running box.
type Client struct {
	http *http.Client
}

var _ Admin = (*Client)(nil)

// Dial connects to the box that runs on a data folder. ErrNotRunning if none
// does.
func Dial(ctx context.Context, dir string) (*Client, error) {
	address, err := socketAddress(dir)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	probe, err := d.DialContext(ctx, "unix", address)
	switch {
	case err != nil && notListening(err):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("asking the running box: %w", err)
	}
	// Held open without a request it would keep the server from stopping.
	probe.Close()
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", address)
		},
	}}}, nil
}

// Close implements Admin.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

func (c *Client) post(ctx context.Context, name string, q any) (*http.Response, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	switch q := q.(type) {
	case PluginRequest:
		body = attach(body, q.Package)
	case ReplayQuery:
		body = attach(body, q.Package)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hauspost/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the running box: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var e Error
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxRequest)).Decode(&e); err != nil || e.Text == "" {
		return nil, fmt.Errorf("the running box is of another version: it answered %q to %s; start it again", resp.Status, name)
	}
	return nil, &e
}

func call[A any](ctx context.Context, c *Client, name string, q any) (A, error) {
	var a A
	resp, err := c.post(ctx, name, q)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, fmt.Errorf("reading the answer of the running box: %w", err)
	}
	return a, nil
}

// Status implements Admin.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, "status", nothing{})
}

// Domains implements Admin.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	return call[[]Domain](ctx, c, "domains", nothing{})
}

// AddDomain implements Admin.
func (c *Client) AddDomain(ctx context.Context, name, aliasOf string) (Domain, error) {
	return call[Domain](ctx, c, "domain-add", domainRequest{name, aliasOf})
}

// RemoveDomain implements Admin.
func (c *Client) RemoveDomain(ctx context.Context, name string) error {
	_, err := call[nothing](ctx, c, "domain-remove", nameRequest{name})
	return err
}

// Accounts implements Admin.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return call[[]Account](ctx, c, "accounts", nothing{})
}

// AddAccount implements Admin.
func (c *Client) AddAccount(ctx context.Context, address, password string) (Account, error) {
	return call[Account](ctx, c, "account-add", passwordRequest{address, password})
}

// RemoveAccount implements Admin.
func (c *Client) RemoveAccount(ctx context.Context, address string) error {
	_, err := call[nothing](ctx, c, "account-remove", addressRequest{address})
	return err
}

// SetPassword implements Admin.
func (c *Client) SetPassword(ctx context.Context, address, password string) error {
	_, err := call[nothing](ctx, c, "account-password", passwordRequest{address, password})
	return err
}

// SetDisabled implements Admin.
func (c *Client) SetDisabled(ctx context.Context, address string, disabled bool) error {
	_, err := call[nothing](ctx, c, "account-disabled", disabledRequest{address, disabled})
	return err
}

// SetSentCopy implements Admin.
func (c *Client) SetSentCopy(ctx context.Context, address string, on bool) error {
	_, err := call[nothing](ctx, c, "account-sent", sentRequest{address, on})
	return err
}

// Aliases implements Admin.
func (c *Client) Aliases(ctx context.Context) ([]Alias, error) {
	return call[[]Alias](ctx, c, "aliases", nothing{})
}

// AddAlias implements Admin.
func (c *Client) AddAlias(ctx context.Context, address string, to []string) (Alias, error) {
	return call[Alias](ctx, c, "alias-add", aliasRequest{address, to})
}

// RemoveAlias implements Admin.
func (c *Client) RemoveAlias(ctx context.Context, address string) error {
	_, err := call[nothing](ctx, c, "alias-remove", addressRequest{address})
	return err
}

// Queue implements Admin.
func (c *Client) Queue(ctx context.Context, q QueueQuery) (QueueList, error) {
	return call[QueueList](ctx, c, "queue", q)
}

// QueueShow implements Admin.
func (c *Client) QueueShow(ctx context.Context, ref string) (QueueItem, error) {
	return call[QueueItem](ctx, c, "queue-show", nameRequest{ref})
}

// QueueDo implements Admin.
func (c *Client) QueueDo(ctx context.Context, d QueueDeed) (QueueDone, error) {
	return call[QueueDone](ctx, c, "queue-do", d)
}

// DKIMKeys implements Admin.
func (c *Client) DKIMKeys(ctx context.Context, domain string) ([]DKIMKey, error) {
	return call[[]DKIMKey](ctx, c, "dkim", nameRequest{domain})
}

// Trace implements Admin.
func (c *Client) Trace(ctx context.Context, id string) (Trace, error) {
	return call[Trace](ctx, c, "trace", nameRequest{id})
}

// Config implements Admin.
func (c *Client) Config(ctx context.Context) (Settings, error) {
	a, err := call[settingsAnswer](ctx, c, "config", nothing{})
	a.Settings.Text = a.Text
	return a.Settings, err
}

// Verify implements Admin.
func (c *Client) Verify(ctx context.Context) (VerifyReport, error) {
	return call[VerifyReport](ctx, c, "verify", nothing{})
}

// Log implements Admin.
func (c *Client) Log(ctx context.Context, q LogQuery, fn func(LogEntry) error) error {
	resp, err := c.post(ctx, "log", q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	d := json.NewDecoder(resp.Body)
	for {
		var e LogEntry
		err := d.Decode(&e)
		switch {
		case errors.Is(err, io.EOF) || ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("reading the log of the running box: %w", err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}
