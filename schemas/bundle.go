package schemas

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	localDefs  = "#/$defs/"
	components = "#/components/schemas/"
)

// bundler moves the schemas that a description refers to into its components, so that
// the description can be served and read as one file.
type bundler struct {
	// dir is the folder that references are relative to.
	dir string
	// schemas is the node components.schemas.
	schemas *yaml.Node
	// texts has what is in schemas, to tell a shared definition from another of its name.
	texts map[string]string
	// moved maps the file of a schema to its name.
	moved map[string]string
}

func bundle(file string) ([]byte, error) {
	data, err := files.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file, err)
	}
	root := doc.Content[0]
	b := bundler{
		dir:     path.Dir(file),
		schemas: child(child(root, "components"), "schemas"),
		texts:   map[string]string{}, moved: map[string]string{},
	}
	if err := b.walk(root); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file, err)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&doc); err != nil {
		return nil, fmt.Errorf("bundle %s: %w", file, err)
	}
	return out.Bytes(), encoder.Close()
}

// walk replaces references to files below n.
func (b *bundler) walk(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		if ref := lookup(n, "$ref"); ref != nil && strings.HasSuffix(ref.Value, suffix) {
			name, err := b.move(path.Join(b.dir, ref.Value))
			if err != nil {
				return err
			}
			ref.Value = components + name
			ref.Style = 0
		}
	}
	// A schema that is moved on the way refers to its own definitions only: it need not be walked.
	for _, c := range n.Content {
		if err := b.walk(c); err != nil {
			return err
		}
	}
	return nil
}

// move puts a schema file and its definitions into the components.
func (b *bundler) move(file string) (string, error) {
	if name, done := b.moved[file]; done {
		return name, nil
	}
	data, err := files.ReadFile(file)
	if err != nil {
		return "", err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	schema := doc.Content[0]
	name := strings.TrimSuffix(path.Base(file), suffix)
	b.moved[file] = name
	plainStyle(schema)
	remove(schema, "$schema")
	remove(schema, "$id")
	defs := remove(schema, "$defs")

	names := map[string]string{}
	if defs != nil {
		for i := 0; i < len(defs.Content); i += 2 {
			def := defs.Content[i].Value
			names[def] = def
			text, err := yaml.Marshal(defs.Content[i+1])
			if err != nil {
				return "", fmt.Errorf("%s: %w", file, err)
			}
			if known, taken := b.texts[def]; taken && known != string(text) {
				names[def] = name + "." + def
			}
			b.texts[names[def]] = string(text)
		}
		for i := 0; i < len(defs.Content); i += 2 {
			b.add(names[defs.Content[i].Value], rename(defs.Content[i+1], names))
		}
	}
	b.add(name, rename(schema, names))
	return name, nil
}

func (b *bundler) add(name string, schema *yaml.Node) {
	if lookup(b.schemas, name) == nil {
		b.schemas.Content = append(b.schemas.Content, scalar(name), schema)
	}
}

// rename points references to the definitions at their new places.
func rename(n *yaml.Node, names map[string]string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		if ref := lookup(n, "$ref"); ref != nil && strings.HasPrefix(ref.Value, localDefs) {
			ref.Value = components + names[strings.TrimPrefix(ref.Value, localDefs)]
		}
	}
	for _, c := range n.Content {
		rename(c, names)
	}
	return n
}

// plainStyle lets the encoder choose how to write what was read as JSON.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}

func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func lookup(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// child returns the mapping under a key and makes it when absent.
func child(n *yaml.Node, key string) *yaml.Node {
	if c := lookup(n, key); c != nil {
		return c
	}
	c := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	n.Content = append(n.Content, scalar(key), c)
	return c
}

func remove(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			value := n.Content[i+1]
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return value
		}
	}
	return nil
}
