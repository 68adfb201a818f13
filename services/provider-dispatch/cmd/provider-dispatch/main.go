// Command provider-dispatch runs the provider-dispatch service in a process of its own, configured by
// the environment; `signbus config` lists the settings.
package main

import (
	"signbus.dev/pkg/service"
	providerdispatch "signbus.dev/services/provider-dispatch"
)

func main() { service.Main(providerdispatch.Wire) }
