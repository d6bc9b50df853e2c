package main

import "io"

func explain(w io.Writer, o *verified) error { return o.text(w) }
