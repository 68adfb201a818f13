// Command notification-relay runs the notification-relay service in a process of its own, configured by
// the environment; `signbus config` lists the settings.
package main

import (
	"signbus.dev/pkg/service"
	relay "signbus.dev/services/notification-relay"
)

func main() { service.Main(relay.Wire) }
