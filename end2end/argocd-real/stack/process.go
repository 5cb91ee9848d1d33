package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// patience is how long a part may take until it is ready; on a busy machine the API server takes 20 s.
	patience = 2 * time.Minute
	// courtesy is how long a part may take to end before it is killed.
	courtesy = 5 * time.Second
)

// part is one of the programs, and its process while it runs.
type part struct {
	name, program string
	arguments     []string
	environment   []string
	ready         func(context.Context) bool
	log           string

	process *exec.Cmd
	ended   chan struct{}
}

// parts are all of them, in the order in which they are started.
type parts struct {
	lock  sync.Mutex
	all   map[string]*part
	order []string
}

// start starts these parts, unless they run, and waits until each is ready.
func (p *parts) start(ctx context.Context, names ...string) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, name := range names {
		part, known := p.all[name]
		if !known {
			return fmt.Errorf("there is no part %q; there are %v", name, p.order)
		}
		if err := part.start(); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := p.all[name].await(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends one part. With kill it gets no time to say goodbye, as when a machine is lost.
func (p *parts) stop(name string, kill bool) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	part, known := p.all[name]
	if !known {
		return fmt.Errorf("there is no part %q; there are %v", name, p.order)
	}
	part.stop(kill)
	return nil
}

// stopAll ends them in the opposite order.
func (p *parts) stopAll() {
	p.lock.Lock()
	defer p.lock.Unlock()
	for i := len(p.order) - 1; i >= 0; i-- {
		p.all[p.order[i]].stop(false)
	}
}

// running says of each part whether it runs.
func (p *parts) running() map[string]bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	found := map[string]bool{}
	for name, part := range p.all {
		found[name] = part.runs()
	}
	return found
}

func (p *part) runs() bool {
	if p.process == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *part) start() error {
	if p.runs() {
		return nil
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(p.program, p.arguments...)
	process.Env, process.Stdout, process.Stderr = p.environment, log, log
	// It ends when stack does, even when that is killed.
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := process.Start(); err != nil {
		return fmt.Errorf("%s could not be started: %w", p.name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	p.process, p.ended = process, ended
	return nil
}

func (p *part) await(ctx context.Context) error {
	deadline := time.After(patience)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !p.ready(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("%s ended; its log is %s", p.name, p.log)
		case <-deadline:
			return fmt.Errorf("%s is not ready after %s; its log is %s", p.name, patience, p.log)
		case <-look.C:
		}
	}
	return nil
}

func (p *part) stop(kill bool) {
	if !p.runs() {
		return
	}
	if !kill {
		_ = p.process.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			return
		case <-time.After(courtesy):
		}
	}
	_ = p.process.Process.Kill()
	<-p.ended
}
