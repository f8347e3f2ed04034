package appliance

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Serve runs the box of a data folder until ctx ends. Its errors are plain
// sentences.
func Serve(ctx context.Context, o ServeOptions) error {
	start := time.Now()
	b, err := newBox(ctx, o)
	if err != nil {
		return err
	}
	stopWatchdog := func() {}
	err = b.run(ctx, func() error {
		if err := o.Ready(Ready{
			Ready: true, Hostname: b.config.Hostname, Version: o.Version, Listeners: bound(b.sockets),
			Milliseconds: float64(time.Since(start).Microseconds()) / 1000,
		}); err != nil {
			return fmt.Errorf("saying that the box is ready: %w", err)
		}
		b.notify(daemon.SdNotifyReady)
		b.logger.Info("the box is ready", "version", o.Version)
		stopWatchdog = b.watchdog()
		context.AfterFunc(ctx, func() { b.notify(daemon.SdNotifyStopping) })
		return nil
	})
	stopWatchdog()
	return err
}

// notify tells systemd; without systemd it does nothing.
func (b *Box) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		b.logger.Warn("systemd could not be told", "state", state, "error", err.Error())
	}
}

// watchdog tells systemd twice in its interval that the box is alive: that its
// store answers.
func (b *Box) watchdog() (stop func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		tick := time.NewTicker(interval / 2)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			alive, cancel := context.WithTimeout(ctx, interval/2)
			if _, err := b.core.store.Stats(alive); err == nil {
				b.notify(daemon.SdNotifyWatchdog)
			}
			cancel()
		}
	}()
	return cancel
}
