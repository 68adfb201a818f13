// Package cades signs files of any type with CAdES baseline signatures (ETSI EN 319 122-1):
// B-B, B-T and B-LT, with the content inside (.p7m) or beside it (.p7s), by any number of
// signers in parallel; it checks such files and takes their content out.
//
// It promises that content of any size passes through in little memory, that a signature
// reaches the level asked for or is not made, and that what other software put into a
// message stays as it is, byte for byte. It fetches nothing itself: time-stamps and revocation
// data come from the caller.
//
//	m := cades.New(content, false)
//	err := m.Sign(ctx, cades.Params{Signer: key, Chain: chain})
//	err = m.WriteTo(ctx, out)
package cades
