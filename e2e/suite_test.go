package e2e

import "testing"

// TestBus is the one suite over the three shapes. Each shape runs one bus.
func TestBus(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			b := s.start(t)
			for _, part := range []struct {
				name string
				test func(*testing.T, *bus)
			}{
				{"queue", testQueue},
				{"REST", testREST},
				{"courses", testCourses},
				{"files of any type", testP7M},
				{"verification page", testVerifyPage},
				{"graphometric signatures", testGraphometric},
				{"signing in a browser", testBrowser},
				{"refusals", testRefusals},
				{"webhooks", testWebhooks},
				{"certificates", testPKI},
				{"command line", testCommandLine},
				{"traces", testTraces},
				{"stop and start", testStop},
			} {
				t.Run(part.name, func(t *testing.T) { part.test(t, b) })
			}
			requireWhole(t, b.trail.all(t, func(event) bool { return true }))
		})
	}
}
