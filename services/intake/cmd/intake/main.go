// Command intake runs the intake service in a process of its own, configured by
// the environment; `signbus config` lists the settings.
package main

import (
	"signbus.dev/pkg/service"
	"signbus.dev/services/intake"
)

func main() { service.Main(intake.Wire) }
