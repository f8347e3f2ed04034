package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"

	"hauspost/appliance"
	"hauspost/appliance/config"
	"hauspost/appliance/control"
)

// The demo box: nothing of it reaches beyond this machine.
const (
	demoDomain   = "example.test"
	demoHostname = "mail.example.test"
	demoOffset   = 10000
	demoNowhere  = 26 // with the offset, a port at which nothing listens
)

// person is one of the demo box, with the password if it was made just now.
type person struct {
	Address  string `json:"address"`
	Password string `json:"password,omitempty"`
}

// demonstration is what `demo` prints as JSON.
type demonstration struct {
	appliance.Ready
	Data   string   `json:"data"`
	People []person `json:"people"`
	Send   string   `json:"send"`
	Submit string   `json:"submit"`
	Read   string   `json:"read"`
}

func (a *app) demoCommand() *cobra.Command {
	offset := demoOffset
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make a box for example.test on high ports, if there is none yet, and run it",
		Long: "Make a box for example.test with two people on high ports of this machine alone,\n" +
			"if the data folder is not there yet, and run it in the foreground. Their\n" +
			"passwords are made anew and printed that one time.",
		Args: cobra.NoArgs,
		RunE: a.on(func(ctx context.Context, _ []string) error {
			people, err := a.demoBox(ctx, offset)
			if err != nil {
				return err
			}
			return appliance.Serve(ctx, appliance.ServeOptions{
				Dir: a.data, Version: version, Stderr: a.err,
				Ready: func(r appliance.Ready) error { return a.demoReady(r, people) },
			})
		}),
	}
	cmd.Flags().IntVar(&offset, "port-offset", demoOffset, "added to every port when the box is made")
	return cmd
}

// demoBox makes the demo box where there is none. The passwords of its people
// are nowhere but in what it returns.
func (a *app) demoBox(ctx context.Context, offset int) (people []person, err error) {
	if _, err := os.Stat(config.Path(a.data)); err == nil {
		return []person{{Address: "alice@" + demoDomain}, {Address: "bob@" + demoDomain}}, nil
	}
	made, err := appliance.Init(ctx, appliance.InitOptions{
		Dir: a.data, Hostname: demoHostname, Domain: demoDomain,
		PortOffset: offset, Listen: []string{"127.0.0.1"},
		Adjust: func(c *config.Config) {
			c.Log.Stderr = "info"
			c.Checks.DNS = false // example.test is in no DNS
			c.Submission.CheckDomains = false
			// Nothing listens there: mail for other domains waits in the queue.
			c.Routes = []config.Route{{To: []string{"*"}, Host: "127.0.0.1", Port: offset + demoNowhere}}
		},
	})
	if err != nil {
		return nil, err
	}
	box, err := appliance.Connect(ctx, made.Data, version)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	for _, name := range []string{"alice", "bob"} {
		p := person{Address: name + "@" + demoDomain, Password: appliance.NewPassword()}
		if _, err := box.AddAccount(ctx, p.Address, p.Password); err != nil {
			return nil, err
		}
		people = append(people, p)
	}
	return people, nil
}

func (a *app) demoReady(r appliance.Ready, people []person) error {
	if !a.json {
		if err := a.ready(r); err != nil {
			return err
		}
	}
	d := demonstration{Ready: r, Data: a.data, People: people}
	from, to := people[0], people[1]
	d.Send = fmt.Sprintf("swaks --server %s --from %s --to %s --header 'Subject: Hello'", at(r, "smtp"), from.Address, to.Address)
	d.Submit = fmt.Sprintf("swaks --server %s -tls --auth PLAIN --auth-user %s%s --from %s --to %s --header 'Subject: Hello'",
		at(r, "submission"), from.Address, option("--auth-password", from.Password), from.Address, to.Address)
	// curl asks for the password itself where it is not in the line.
	login := to.Address
	if to.Password != "" {
		login += ":" + to.Password
	}
	d.Read = fmt.Sprintf("curl -k -u '%s' 'imaps://%s/INBOX;MAILINDEX=*'", login, at(r, "imaps"))
	return a.show(d, func(w io.Writer) { printDemo(w, d) })
}

// option gives an option with its value, nothing where there is none.
func option(name, value string) string {
	if value == "" {
		return ""
	}
	return " " + name + " " + value
}

func printDemo(w io.Writer, d demonstration) {
	fmt.Fprintf(w, "\nThis is a box for %s. It can be reached from this machine alone.\n", demoDomain)
	for _, p := range d.People {
		if p.Password != "" {
			fmt.Fprintf(w, "  %s has the password %s\n", p.Address, p.Password)
		} else {
			fmt.Fprintf(w, "  %s: to set a new password: %s account passwd %s --data %s\n", p.Address, os.Args[0], p.Address, d.Data)
		}
	}
	if d.People[0].Password != "" {
		fmt.Fprintln(w, "The passwords were made just now and are shown this one time.")
	}
	fmt.Fprintf(w, "\nSend a mail from a second terminal:\n  %s\n", d.Send)
	fmt.Fprintf(w, "or without swaks:\n  printf 'From: %s\\nTo: %s\\nSubject: Hello\\n\\nIt works.\\n' | curl --crlf smtp://%s --mail-from %s --mail-rcpt %s -T -\n",
		d.People[0].Address, d.People[1].Address, at(d.Ready, "smtp"), d.People[0].Address, d.People[1].Address)
	fmt.Fprintf(w, "\nSubmit one as a mail program does, signed in, at %s (%s with TLS from the start):\n  %s\n",
		at(d.Ready, "submission"), at(d.Ready, "submissions"), d.Submit)
	fmt.Fprintf(w, "Mail for other domains goes nowhere from here: it waits in the queue.\n")
	fmt.Fprintf(w, "\nRead the newest one:\n  %s\n", d.Read)
	fmt.Fprintf(w, "\nLook at the box:\n  %s status --data %s\n  %s log --data %s\n  %s queue list --data %s\n\nStop it with Ctrl-C.\n",
		os.Args[0], d.Data, os.Args[0], d.Data, os.Args[0], d.Data)
}

// at gives the first address of a service, as a client on this machine would
// write it.
func at(r appliance.Ready, service string) string {
	for _, l := range r.Listeners {
		if l.Service == service {
			return dialable(l)
		}
	}
	return ""
}

func dialable(l control.Listener) string {
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		return l.Address
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
