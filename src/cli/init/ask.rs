//! Questions to the person at the terminal; answered beforehand where nobody is to be asked.

use std::io::Write;

use crate::cli::Failure;
use crate::secret::Password;

/// Tries at one question before it is given up.
const TRIES: usize = 5;

/// How questions are answered.
pub struct Questions {
    /// Somebody is there.
    asks: bool,
    /// The first answer is taken of what nobody is asked.
    first: bool,
}

impl Questions {
    /// Asks where `asks`; else takes the first answer where `first`, and fails where not.
    pub fn new(asks: bool, first: bool) -> Self {
        Self { asks, first }
    }

    /// A line of text that `read` accepts.
    pub fn text<T>(
        &mut self,
        question: &str,
        usual: &str,
        flag: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        if !self.asks {
            self.may_take_first(question, flag)?;
            return read(usual).map_err(Failure::new);
        }
        for _ in 0..TRIES {
            let typed = line(&format!("  {question} [{usual}] "))?;
            match read(if typed.is_empty() { usual } else { &typed }) {
                Ok(value) => return Ok(value),
                Err(why) => eprintln!("  {why}"),
            }
        }
        Err(Failure::new("given up after five answers that cannot be"))
    }

    /// One of several answers, by its number.
    pub fn choice<T: Copy>(
        &mut self,
        question: &str,
        answers: &[(T, String)],
        flag: &str,
    ) -> Result<T, Failure> {
        if !self.asks {
            self.may_take_first(question, flag)?;
            return Ok(answers[0].0);
        }
        eprintln!("  {question}");
        for (number, (_, label)) in answers.iter().enumerate() {
            eprintln!("    {}  {label}", number + 1);
        }
        for _ in 0..TRIES {
            let typed = line(&format!("  1-{} [1] ", answers.len()))?;
            let number = if typed.is_empty() { Some(1) } else { typed.parse().ok() };
            match number.and_then(|number: usize| answers.get(number.wrapping_sub(1))) {
                Some((answer, _)) => return Ok(*answer),
                None => eprintln!("  a number from 1 to {}, please", answers.len()),
            }
        }
        Err(Failure::new("given up after five answers that cannot be"))
    }

    /// A password, unseen; from stdin where nobody is asked.
    pub fn password(&mut self, question: &str) -> Result<Password, Failure> {
        let unreadable =
            |error: std::io::Error| Failure::new(format!("the password cannot be read: {error}"));
        let typed = if self.asks {
            rpassword::prompt_password(format!("  {question} ")).map_err(unreadable)?
        } else {
            let mut typed = String::new();
            std::io::stdin().read_line(&mut typed).map_err(unreadable)?;
            typed
        };
        let typed = zeroize::Zeroizing::new(typed);
        match typed.trim_end_matches(['\r', '\n']) {
            "" => Err(Failure::new("the password is empty")),
            password => Ok(Password::new(password.to_owned())),
        }
    }

    fn may_take_first(&self, question: &str, flag: &str) -> Result<(), Failure> {
        if self.first {
            return Ok(());
        }
        let text = format!("nobody is there to answer: {question}");
        Err(Failure::with_hint(text, format!("answer with {flag}, or take the usual answers with --yes")))
    }
}

/// Prints the question and reads a line. The end of the input ends the program.
fn line(question: &str) -> Result<String, Failure> {
    eprint!("{question}");
    // If the terminal is gone, reading says so.
    let _ = std::io::stderr().flush();
    let mut typed = String::new();
    match std::io::stdin().read_line(&mut typed) {
        Ok(0) => Err(Failure::new("nothing was written: the input ended")),
        Ok(_) => Ok(typed.trim().to_owned()),
        Err(error) => Err(Failure::new(format!("the answer cannot be read: {error}"))),
    }
}
