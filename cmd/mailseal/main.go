// Mailseal signs what leaves a mail host and judges what arrives.
package main

func main() {}
