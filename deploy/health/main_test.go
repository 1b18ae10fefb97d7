package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnly200IsHealthy(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
		case "/moved":
			http.Redirect(w, r, "/healthz", http.StatusFound)
		default:
			http.Error(w, "not ready: store", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	require.NoError(t, run(t.Context(), []string{server.URL + "/healthz"}))
	require.ErrorContains(t, run(t.Context(), []string{server.URL + "/readyz"}), "503 Service Unavailable not ready: store")
	require.ErrorContains(t, run(t.Context(), []string{server.URL + "/moved"}), "302")
	require.ErrorContains(t, run(t.Context(), nil), "want the URL")
	server.Close()
	assert.Error(t, run(t.Context(), []string{server.URL + "/healthz"}), "nobody listens")
}
