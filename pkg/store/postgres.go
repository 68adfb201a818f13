package store

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

type postgresEngine struct{}

// postgresConns is enough for every stage of a process; measured throughput does not
// grow beyond 16 connections on small machines.
const postgresConns = 16

func openPostgres(address string) (*DB, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		// The parse error repeats the address with its password: say only that it is wrong.
		return nil, errors.New("open database: the PostgreSQL address cannot be parsed")
	}
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(postgresConns)
	pool.SetMaxIdleConns(postgresConns)
	return &DB{engine: postgresEngine{}, write: pool, read: pool}, nil
}

func (postgresEngine) exclusive() bool { return false }

func (postgresEngine) interpret(err error) error {
	if known(err) {
		return err
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pe.Code == "40001", pe.Code == "40P01", pe.Code == "55P03":
			return fmt.Errorf("%w: %w", errTryAgain, err)
		case pe.Code == "23505", pe.Code == "23503":
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case pe.Code[:2] == "08", pe.Code[:2] == "57", pe.Code[:2] == "53":
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	}
	var (
		ce  *pgconn.ConnectError
		net net.Error
	)
	if errors.As(err, &ce) || errors.As(err, &net) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return interpretCommon(err)
}
