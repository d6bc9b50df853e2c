// Package web shows what DMARC reports say: which domains need their postmaster, why, and what to
// publish.
//
// Pages are made by the server, without JavaScript: html/template, inline SVG, one stylesheet. A
// page is built as a value of typed tables first and rendered after, so that the CSV and the JSON
// of a table hold what the page shows. Everything that came in a report, a mail or DNS is a
// stranger's text: it is escaped, cut, and its control and direction characters are shown and never
// obeyed (see text.go).
//
// The package reads through the interface Reader and changes nothing. What an administrator decides
// goes to the process that receives reports, through the interface Commands.
package web
