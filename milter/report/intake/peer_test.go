package intake

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// otherwise are the vectors that dmarc-cat reads in another way, and why ours is right.
var otherwise = map[string]string{
	"24-neg-count.xml":      "it takes a count of -3",
	"61-dir-multi.zip":      "it reads the first report of an archive alone",
	"62-prepended-junk.zip": "it reads the first report of an archive alone",
}

// TestDmarcCatCounts holds that another program finds the records and messages that the index has,
// in those of the vectors that it can read. It runs where the packages of the end-to-end tests have
// been fetched.
func TestDmarcCatCounts(t *testing.T) {
	program, err := filepath.Abs("../../../.root/reports/usr/bin/dmarc-cat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("dmarc-cat is not here: contrib/test/fetch.sh reports")
	}
	if _, err := os.Stat(vectors); err != nil {
		t.Skip("there are no vectors beside the checkout: ", vectors)
	}
	index, err := os.ReadFile("testdata/vectors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		cells := strings.Split(line, "\t")
		file, _, _ := strings.Cut(cells[0], " > ")
		records, _ := strconv.Atoi(cells[1])
		messages, _ := strconv.Atoi(cells[2])
		sum := want[file]
		want[file] = [2]int{sum[0] + records, sum[1] + messages}
	}
	compared := 0
	for file, sum := range want {
		out, ok := dmarcCat(t, program, file)
		if !ok {
			continue // it cannot read this one
		}
		compared++
		if got := counts(out); got != sum && otherwise[file] == "" {
			t.Errorf("%s: dmarc-cat finds %d records and messages, the index has %d\n%s", file, got,
				sum, out)
		}
	}
	if compared < 20 {
		t.Errorf("dmarc-cat reads %d of the vectors; it read more than 20", compared)
	}
}

// dmarcCat has the program read a vector under a name that it accepts.
func dmarcCat(t *testing.T, program, file string) (out string, ok bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, file))
	if err != nil {
		t.Fatal(err)
	}
	_, end, _ := strings.Cut(file, ".")
	path := filepath.Join(t.TempDir(), "org.example!example.com!1700006400!1700092799."+end)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), program, "-N", path).CombinedOutput()
	return string(text), err == nil && strings.Contains(string(text), "\nReports(")
}

// counts reads its table: the first number of a row is the count.
func counts(out string) (sum [2]int) {
	_, table, _ := strings.Cut(out, "\nReports(")
	if _, err := fmt.Sscan(table, &sum[0]); err != nil {
		return sum
	}
	for _, line := range strings.Split(table, "\n")[2:] {
		for _, word := range strings.Fields(line) {
			if n, err := strconv.Atoi(word); err == nil {
				sum[1] += n
				break
			}
		}
	}
	return sum
}
