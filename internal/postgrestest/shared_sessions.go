package postgrestest

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Lending is which session a pooler lends.
type Lending int

// What a pooler lends.
const (
	LastReturned   Lending = iota // PgBouncer's default
	FirstReturned                 // PgBouncer: server_round_robin = 1
	OnlyOne                       // there is one session; a second transaction waits for the end of the first
	NoTransactions                // a session for each statement: BEGIN is refused; PgBouncer: pool_mode = statement
)

// SharedSessions starts a pooler that lends a session of the server for each transaction, as PgBouncer does with
// pool_mode = transaction. It returns the URL of the pooler, which ends with the test.
func (s *Server) SharedSessions(lending Lending) (url string) {
	s.t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatalf("postgrestest: %v", err)
	}
	p := &lender{server: s.Addr, roundRobin: lending == FirstReturned, noTransactions: lending == NoTransactions}
	if lending == OnlyOne {
		p.only = make(chan struct{}, 1)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for client, err := l.Accept(); err == nil; client, err = l.Accept() {
			served.Go(func() {
				defer client.Close() //nolint:errcheck // it ends in any case
				_ = p.serve(client)  // it ends with the client
			})
		}
	})
	s.t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
		for _, session := range p.idle {
			_ = session.Close()
		}
	})
	return strings.Replace(s.URL, s.Addr, l.Addr().String(), 1)
}

// lender lends sessions of the role postgres.
type lender struct {
	server     string
	roundRobin bool
	// noTransactions refuses BEGIN, as PgBouncer does.
	noTransactions bool
	only           chan struct{} // holds a value while the only session is lent; nil: there are as many as needed
	mu             sync.Mutex
	idle           []net.Conn // the one to lend next is the last
}

func (p *lender) serve(client net.Conn) error {
	backend := pgproto3.NewBackend(client, client)
	message, err := backend.ReceiveStartupMessage()
	if _, ok := message.(*pgproto3.StartupMessage); err != nil || !ok { // else a cancel request
		return err
	}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: make([]byte, 4)}) // no process has this id
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := backend.Flush(); err != nil {
		return err
	}
	var session net.Conn
	defer func() {
		if session != nil {
			_ = session.Close()
			p.returned()
		}
	}()
	for {
		message, err := receive(client)
		if err != nil || message[0] == 'X' { // the client ends; the session stays
			return err
		}
		if p.noTransactions && bytes.Contains(message, []byte("BEGIN")) {
			backend.Send(&pgproto3.ErrorResponse{
				Severity: "FATAL", Code: "08P01", Message: "transaction blocks not allowed in statement pooling mode",
			})
			return backend.Flush()
		}
		if session == nil {
			if session, err = p.borrow(); err != nil {
				return err
			}
		}
		if _, err := session.Write(message); err != nil {
			return err
		}
		if message[0] != 'Q' && message[0] != 'S' { // the server answers a query, and a batch at its end
			continue
		}
		ready, err := answer(client, session)
		if err != nil {
			return err
		}
		if ready[5] == 'I' { // in no transaction; returned before the client's next one can follow
			p.giveBack(session)
			session = nil
		}
		if _, err := client.Write(ready); err != nil {
			return err
		}
	}
}

// answer forwards messages of the session until it is ready, and returns that message.
func answer(client, session net.Conn) (ready []byte, err error) {
	for {
		message, err := receive(session)
		if err != nil || message[0] == 'Z' {
			return message, err
		}
		if _, err := client.Write(message); err != nil {
			return nil, err
		}
	}
}

// receive reads one message: its kind, its length and its body.
func receive(from io.Reader) ([]byte, error) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	message := make([]byte, 1+binary.BigEndian.Uint32(header[1:]))
	copy(message, header)
	_, err := io.ReadFull(from, message[5:])
	return message, err
}

// returned lets the next transaction have the only session.
func (p *lender) returned() {
	if p.only != nil {
		<-p.only
	}
}

func (p *lender) borrow() (session net.Conn, err error) {
	if p.only != nil {
		p.only <- struct{}{}
	}
	defer func() {
		if err != nil {
			p.returned()
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		session := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return session, nil
	}
	session, err = net.Dial("tcp", p.server) //nolint:noctx // on this machine
	if err != nil {
		return nil, err
	}
	frontend := pgproto3.NewFrontend(session, session)
	frontend.Send(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters:      map[string]string{"user": "postgres", "database": privateDatabase},
	})
	if err := frontend.Flush(); err != nil {
		return nil, err
	}
	for {
		message, err := frontend.Receive()
		if err != nil {
			return nil, err
		}
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return session, nil
		}
	}
}

func (p *lender) giveBack(session net.Conn) {
	defer p.returned()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.roundRobin {
		p.idle = append([]net.Conn{session}, p.idle...)
		return
	}
	p.idle = append(p.idle, session)
}
