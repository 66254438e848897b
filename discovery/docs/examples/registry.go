// Package registry: this process in the registry, and others found there. The standard library is all it needs.
package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

type Instance struct {
	Name     string         `json:"name,omitempty"`
	IP       string         `json:"ip"`
	Port     int            `json:"port"`
	Tags     []string       `json:"tags,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// Client asks one registry, such as http://10.0.0.1:3100. Token may be empty.
type Client struct{ URL, Token string }

type reply struct {
	status    int
	index     uint64
	Interval  float64 `json:"heartbeatIntervalMs"`
	Retry     float64 `json:"retryAfterMs"`
	Message   string
	Instances []Instance
	Zone      *struct{ First int } // so many are of this client's zone, or help there (the registry's CLIENT_ZONES)
}

func (c Client) ask(ctx context.Context, wait time.Duration, method, path string, body any) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	sent, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	found := &reply{status: response.StatusCode}
	found.index, _ = strconv.ParseUint(response.Header.Get("X-Registry-Index"), 10, 64)
	return found, json.NewDecoder(response.Body).Decode(found)
}

// The address by which this host speaks to the registry; never what its own name resolves to.
func (c Client) localAddress() (string, error) {
	where, err := url.Parse(c.URL)
	if err != nil {
		return "", err
	}
	port := where.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[where.Scheme]
	}
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(where.Hostname(), port), 5*time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	return connection.LocalAddr().(*net.TCPAddr).IP.String(), nil
}

// Register keeps the instance registered until the context ends, and deregisters it then.
func (c Client) Register(ctx context.Context, instance Instance) {
	path, pause := "/register", time.Duration(0)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			path, pause = c.beat(ctx, path, &instance)
		}
	}
	query := url.Values{"ip": {instance.IP}, "port": {strconv.Itoa(instance.Port)}}.Encode()
	where := fmt.Sprintf("/services/%s/instances?%s", url.PathEscape(instance.Name), query)
	if _, err := c.ask(context.Background(), 5*time.Second, "DELETE", where, nil); err != nil {
		log.Printf("%s is not deregistered, its lease ends by itself: %v", instance.Name, err)
	}
}

func (c Client) beat(ctx context.Context, path string, instance *Instance) (string, time.Duration) {
	var err error
	if instance.IP == "" {
		if instance.IP, err = c.localAddress(); err != nil {
			return path, time.Second
		}
	}
	found, err := c.ask(ctx, 5*time.Second, "POST", path, instance)
	switch {
	case err != nil: // the registry is away
		return path, time.Second
	case found.status < 300:
		return "/heartbeat", time.Duration(found.Interval * float64(time.Millisecond))
	case found.status == 404 && path == "/heartbeat": // it has forgotten us
		return "/register", time.Duration(found.Retry * float64(time.Millisecond))
	}
	log.Printf("%s is not registered: %s", instance.Name, found.Message)
	return "/register", time.Second
}

// List is kept fresh by Follow.
type List struct {
	lock      sync.Mutex
	instances []Instance
	turn      int
}

// Next gives one after the other; false: there is none.
func (l *List) Next() (Instance, bool) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if len(l.instances) == 0 {
		return Instance{}, false
	}
	l.turn++
	return l.instances[l.turn%len(l.instances)], true
}

// Follow keeps the list fresh by long polls until the context ends; while the registry is away it stays as it is.
func (c Client) Follow(ctx context.Context, name string, list *List) {
	for index := uint64(0); ctx.Err() == nil; {
		path := fmt.Sprintf("/resolve/%s?index=%d&wait=30s", url.PathEscape(name), index)
		found, err := c.ask(ctx, 40*time.Second, "GET", path, nil)
		if err != nil || (found.status != 200 && found.status != 404) {
			index = 0 // another registry, or one that has started again, counts anew
			time.Sleep(time.Second)
			continue
		}
		index = found.index
		if found.Zone != nil && found.Zone.First <= len(found.Instances) {
			found.Instances = found.Instances[:found.Zone.First]
		}
		list.lock.Lock()
		list.instances = found.Instances
		list.lock.Unlock()
	}
}
