//! Reads Erlang terms: dot-terminated, over several lines, with comments.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

use super::Term;
use super::print::{continues_atom, starts_atom};

/// Nesting deeper than this is a mistake, not a script; it bounds the reader's own stack.
const MAX_DEPTH: usize = 64;

/// Why a text isn't a term, with the place (a byte offset) and the text from there on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {problem}, before `{rest}`")]
pub struct ParseError {
    pub at: usize,
    pub problem: &'static str,
    pub rest: String,
}

/// Reads one term. A closing dot may stand behind it.
pub fn parse(text: &str) -> Result<Term, ParseError> {
    let mut reader = Reader::new(text);
    let term = reader.term(0)?;
    reader.blank();
    let _ = reader.eat('.');
    reader.blank();
    match reader.peek() {
        None => Ok(term),
        Some(_) => Err(reader.error("end of text expected")),
    }
}

/// Reads all terms of a text, each closed by a dot.
pub fn parse_all(text: &str) -> Result<Vec<Term>, ParseError> {
    let mut reader = Reader::new(text);
    let mut terms = Vec::new();
    loop {
        reader.blank();
        if reader.peek().is_none() {
            return Ok(terms);
        }
        terms.push(reader.term(0)?);
        reader.blank();
        reader.expect('.', "`.` expected")?;
    }
}

/// A term that opens a text, and what follows it.
pub type Prefix<'a> = (Term, &'a str);

/// Reads one term from the start of a text; what follows it is handed back untouched.
pub fn parse_prefix(text: &str) -> Result<Prefix<'_>, ParseError> {
    let mut reader = Reader::new(text);
    let term = reader.term(0)?;
    let at = reader.at();
    Ok((term, text.get(at..).unwrap_or_default()))
}

struct Reader<'a> {
    text: &'a str,
    letters: Peekable<CharIndices<'a>>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, letters: text.char_indices().peekable() }
    }

    fn at(&mut self) -> usize {
        self.letters.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn peek(&mut self) -> Option<char> {
        self.letters.peek().map(|(_, letter)| *letter)
    }

    fn next(&mut self) -> Option<char> {
        self.letters.next().map(|(_, letter)| letter)
    }

    fn error(&mut self, problem: &'static str) -> ParseError {
        let at = self.at();
        let rest = self.text.get(at..).unwrap_or_default().chars().take(40).collect();
        ParseError { at, problem, rest }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.letters.next_if(|(_, letter)| *letter == wanted).is_some()
    }

    fn expect(&mut self, wanted: char, problem: &'static str) -> Result<(), ParseError> {
        if self.eat(wanted) { Ok(()) } else { Err(self.error(problem)) }
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        while let Some(letter) = self.peek() {
            if letter == '%' {
                while self.letters.next_if(|(_, letter)| *letter != '\n').is_some() {}
            } else if !letter.is_whitespace() {
                return;
            } else {
                let _ = self.next();
            }
        }
    }

    fn term(&mut self, depth: usize) -> Result<Term, ParseError> {
        self.blank();
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deep"));
        }
        match self.peek() {
            Some('{') => Ok(Term::Tuple(self.items('{', '}', depth)?)),
            Some('[') => Ok(Term::List(self.items('[', ']', depth)?)),
            Some('#') => self.map(depth),
            Some('\'') => Ok(Term::Atom(self.quoted('\'')?)),
            Some('"') => {
                let text = self.quoted('"')?;
                Ok(Term::List(text.chars().map(|c| Term::Int(i64::from(u32::from(c)))).collect()))
            }
            Some('-' | '0'..='9') => self.integer(),
            Some(letter) if starts_atom(letter) => {
                let from = self.at();
                while self.letters.next_if(|(_, letter)| continues_atom(*letter)).is_some() {}
                let to = self.at();
                Ok(Term::atom(self.text.get(from..to).unwrap_or_default()))
            }
            Some('$') => {
                let _ = self.next();
                let letter = match self.next() {
                    Some('\\') => self.escape()?,
                    Some(letter) => letter,
                    None => return Err(self.error("a character expected")),
                };
                Ok(Term::Int(i64::from(u32::from(letter))))
            }
            _ => Err(self.error("a term expected")),
        }
    }

    fn items(&mut self, open: char, close: char, depth: usize) -> Result<Vec<Term>, ParseError> {
        let mut items = Vec::new();
        self.expect(open, "an opening bracket expected")?;
        self.blank();
        if self.eat(close) {
            return Ok(items);
        }
        loop {
            items.push(self.term(depth + 1)?);
            self.blank();
            if self.eat(close) {
                return Ok(items);
            }
            self.expect(',', "`,` or a closing bracket expected")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Term, ParseError> {
        let mut entries = BTreeMap::new();
        self.expect('#', "`#{` expected")?;
        self.expect('{', "`#{` expected")?;
        self.blank();
        if self.eat('}') {
            return Ok(Term::Map(entries));
        }
        loop {
            let key = self.term(depth + 1)?;
            self.blank();
            self.expect('=', "`=>` expected")?;
            self.expect('>', "`=>` expected")?;
            let value = self.term(depth + 1)?;
            entries.insert(key, value);
            self.blank();
            if self.eat('}') {
                return Ok(Term::Map(entries));
            }
            self.expect(',', "`,` or `}` expected")?;
        }
    }

    fn integer(&mut self) -> Result<Term, ParseError> {
        let sign = if self.eat('-') { "-" } else { "" };
        let digits = self.digits(10);
        if self.eat('#') {
            let radix = digits.parse().ok().filter(|radix| (2..=36).contains(radix));
            let Some(radix) = radix else {
                return Err(self.error("a base of 2 to 36 expected"));
            };
            let digits = self.digits(radix);
            return i64::from_str_radix(&format!("{sign}{digits}"), radix)
                .map(Term::Int)
                .map_err(|_| self.error("an integer of 64 bits expected"));
        }
        // `1.` closes a term, `1.5` would be a float, which no script has.
        format!("{sign}{digits}")
            .parse()
            .map(Term::Int)
            .map_err(|_| self.error("an integer of 64 bits expected"))
    }

    fn digits(&mut self, radix: u32) -> String {
        let mut digits = String::new();
        while let Some((_, letter)) =
            self.letters.next_if(|(_, letter)| letter.is_digit(radix) || *letter == '_')
        {
            if letter != '_' {
                digits.push(letter);
            }
        }
        digits
    }

    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let mut text = String::new();
        self.expect(quote, "a quote expected")?;
        loop {
            match self.next() {
                Some(letter) if letter == quote => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(letter) => text.push(letter),
                None => return Err(self.error("a closing quote expected")),
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Result<char, ParseError> {
        let letter = self.next().ok_or_else(|| self.error("an escape expected"))?;
        Ok(match letter {
            'b' => '\u{8}',
            'd' => '\u{7f}',
            'e' => '\u{1b}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            's' => ' ',
            't' => '\t',
            'v' => '\u{b}',
            'x' => return self.hexadecimal(),
            '^' => {
                let control = self.next().and_then(|letter| u8::try_from(letter).ok());
                let control = control.ok_or_else(|| self.error("a control character expected"))?;
                char::from(control & 0x1f)
            }
            '0'..='7' => return self.octal(letter),
            other => other,
        })
    }

    fn octal(&mut self, first: char) -> Result<char, ParseError> {
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            match self.letters.next_if(|(_, letter)| letter.is_digit(8)) {
                Some((_, digit)) => code = code * 8 + digit.to_digit(8).unwrap_or_default(),
                None => break,
            }
        }
        char::from_u32(code).ok_or_else(|| self.error("a character's code expected"))
    }

    fn hexadecimal(&mut self) -> Result<char, ParseError> {
        let digits = if self.eat('{') {
            let digits = self.digits(16);
            self.expect('}', "`}` expected")?;
            digits
        } else {
            let pair = [self.next(), self.next()];
            pair.into_iter().flatten().collect()
        };
        u32::from_str_radix(&digits, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(|| self.error("a character's code expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, printed: &str) {
        let term = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(term.to_string(), printed, "{text}");
        assert_eq!(parse(printed).as_ref(), Ok(&term), "{printed} is read back");
    }

    /// The right-hand sides are what `io:format("~w")` of OTP 25 printed.
    #[test]
    fn prints_what_erlang_prints() {
        check(
            "#{id => a, obey=>hang, 'Foo bar' => [1,2,3], 1=>\"abc\", {a, b} => 'it\\'s', \
             []=>{}, [97] => -3, 'a\\\\b' => 'x\\n', #{} => 1}.",
            "#{1 => [97,98,99],'Foo bar' => [1,2,3],'a\\\\b' => 'x\\n',id => a,obey => hang,\
             {a,b} => 'it\\'s',#{} => 1,[] => {},[97] => -3}",
        );
        check(
            "['a@b','_a','aB1','A','and','','hello world','a-b','ünï','日本','a\\tb','maybe']",
            "[a@b,'_a',aB1,'A','and','','hello world','a-b',ünï,'\\x{65E5}\\x{672C}',\
             'a\\tb',maybe]",
        );
        check(
            "['÷','x÷','xß','xÀ','\\x{7f}','\\x01','\\x{85}','\\e\\s\\d\\0','\"',\
             '\\b\\f\\v\\r','\\^A']",
            "['÷','x÷',xß,xÀ,'\\d','\\001','\\205','\\e \\d\\000','\"','\\b\\f\\v\\r','\\001']",
        );
        check("[ 16#ff, 1_000, $a, $\\n, -0 ] % comment", "[255,1000,97,10,0]");
    }

    #[test]
    fn reads_terms_over_lines_and_comments() {
        let terms = parse_all("% head\n{sup,\n #{a => 1}, % here\n []}.\nrun.\n").unwrap();
        let printed: Vec<_> = terms.iter().map(Term::to_string).collect();
        assert_eq!(printed, ["{sup,#{a => 1},[]}", "run"]);
    }

    #[test]
    fn reads_a_prefix() {
        assert_eq!(parse_prefix("'a/b'/c#1"), Ok((Term::atom("a/b"), "/c#1")));
    }

    #[test]
    fn refuses_what_no_script_has() {
        for text in
            ["", "Var", "[a|b]", "<<1>>", "{a", "1.5", "'a", "a b", "#{a}", "99999999999999999999"]
        {
            let error = parse(text).expect_err(text);
            assert!(error.at <= text.len(), "{text}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(parse(&deep).unwrap_err().problem, "nested too deep");
        assert_eq!(parse_all("a b.").unwrap_err().problem, "`.` expected");
    }
}
