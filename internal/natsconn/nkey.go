package natsconn

import (
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// seedFile is the path of a file with the seed of a user's nkey. It is read for each connection, as credentials and
// certificates are. Errors do not contain the seed.
type seedFile string

func (f seedFile) pair() (nkeys.KeyPair, error) {
	content, err := os.ReadFile(string(f))
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.ParseDecoratedUserNKey(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", string(f), err)
	}
	return pair, nil
}

func (f seedFile) publicKey() (string, error) {
	pair, err := f.pair()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

func (f seedFile) sign(nonce []byte) ([]byte, error) {
	pair, err := f.pair()
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// logInWith returns the option for a user with an nkey. The client reads the seed for each connection, but keeps the
// public key that it began with (nats.go 1.55.0, NkeyOptionFromSeed). So the dialer, which the client calls under its
// lock before it logs in, corrects the key.
func (l *Link) logInWith(seed seedFile) (nats.Option, error) {
	public, err := seed.publicKey()
	if err != nil {
		return nil, err
	}
	if l.dialer != nil {
		l.dialer.before = append(l.dialer.before, func() error {
			client := l.client.Load()
			if client == nil {
				return nil
			}
			public, err := seed.publicKey()
			if err != nil {
				return fmt.Errorf("NATS_NKEY: %w", err)
			}
			client.Opts.Nkey = public
			return nil
		})
	}
	return nats.Nkey(public, seed.sign), nil
}
