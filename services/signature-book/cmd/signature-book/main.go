// Command signature-book runs the signature-book service in a process of its own, configured by
// the environment; `signbus config` lists the settings.
package main

import (
	"signbus.dev/pkg/service"
	signaturebook "signbus.dev/services/signature-book"
)

func main() { service.Main(signaturebook.Wire) }
