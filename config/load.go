package config

import (
	"os"

	"github.com/BurntSushi/toml"
)

// Load reads the configuration at path and the files that it includes. A mistake is an error of type Problems, which
// lists all of them; a file that cannot be read is one as well.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{File: path, Text: err.Error()}}
	}
	return Parse(path, data)
}

// Parse reads one file's text; name is what its problems call it. It includes no other file.
func Parse(name string, data []byte) (*Config, error) {
	var m map[string]any
	if err := toml.Unmarshal(data, &m); err != nil {
		return nil, Problems{{File: name, Text: err.Error()}}
	}
	return &Config{}, nil
}
