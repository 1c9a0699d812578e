// Command etcd is etcd's own server: its module publishes a package that runs it, and no command that can be built from outside.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
