// Command directory runs the directory service in a process of its own, configured by
// the environment; `signbus config` lists the settings.
package main

import (
	"signbus.dev/pkg/service"
	"signbus.dev/services/directory"
)

func main() { service.Main(directory.Wire) }
