// Command document-store runs the document-store service in a process of its own, configured by
// the environment; `signbus config` lists the settings.
package main

import (
	"signbus.dev/pkg/service"
	documentstore "signbus.dev/services/document-store"
)

func main() { service.Main(documentstore.Wire) }
