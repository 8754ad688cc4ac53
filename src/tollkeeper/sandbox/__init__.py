"""Stand-ins, over HTTP, for the services that the app talks to."""
