//! Secrets: the site file holds references, a secret is fetched when a connection first needs it. A [`Secret`] shows itself
//! to nobody who does not ask for it by name; it has no Display and no Serialize, so that it cannot slip into a record.

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;

use super::error::{At, Problem, ProblemKind};

/// The name under which passwords lie in the platform's store.
const SERVICE: &str = "cutover";

/// A secret in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for the login message and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// an environment variable
    Env(String),
    /// a file's whole text, without one line end
    File(PathBuf),
    /// an entry of the platform's store, service `cutover`
    Keyring(String),
    /// asked at the terminal
    Prompt,
}

/// A reference to a secret, and where the site file makes it.
#[derive(Clone, Debug)]
pub struct SecretRef {
    pub from: SecretFrom,
    /// the server's key: `backup`
    pub server: String,
    pub user: String,
    pub at: At,
}

impl SecretRef {
    /// Fetches the secret. May block: on a file, on the platform's store, on a person.
    pub fn resolve(&self) -> Result<Secret, Box<Problem>> {
        match &self.from {
            SecretFrom::Env(name) => match std::env::var(name) {
                Ok(text) => self.some(text, &format!("the environment variable `{name}`")),
                Err(std::env::VarError::NotPresent) => Err(self.problem(
                    format!("the environment variable `{name}` is not set"),
                    format!("Set `{name}` in the environment that cutover is started from."),
                )),
                Err(std::env::VarError::NotUnicode(_)) => Err(self.problem(
                    format!("the environment variable `{name}` is not valid text"),
                    format!("Set `{name}` to text in the system's encoding."),
                )),
            },
            SecretFrom::File(path) => match std::fs::read_to_string(path) {
                Ok(mut text) => {
                    if text.ends_with('\n') {
                        text.pop();
                        if text.ends_with('\r') {
                            text.pop();
                        }
                    }
                    self.some(text.trim_start_matches('\u{feff}').to_owned(), &format!("the file `{}`", path.display()))
                }
                Err(error) => {
                    let help = match error.kind() {
                        std::io::ErrorKind::NotFound => "Create the file with the password as its only line, or correct its path.",
                        std::io::ErrorKind::PermissionDenied => "Give the account that runs cutover the right to read the file.",
                        std::io::ErrorKind::InvalidData => "Save the file as UTF-8.",
                        _ => "Correct the path, or choose another place for the password.",
                    };
                    Err(self.problem(format!("the file `{}` cannot be read: {error}", path.display()), help.to_owned()))
                }
            },
            SecretFrom::Keyring(name) => {
                let text = keyring::Entry::new(SERVICE, name).and_then(|entry| entry.get_password());
                match text {
                    Ok(text) => self.some(text, &format!("the entry `{name}` of the platform's store")),
                    Err(error) => Err(self.problem(
                        format!("the platform's store gives no entry `{name}` of `{SERVICE}`: {error}"),
                        format!("Store the password there as service `{SERVICE}`, user `{name}`, with the account that runs cutover."),
                    )),
                }
            }
            SecretFrom::Prompt => {
                self.terminal()?;
                let prompt = format!("Password of {} on {}: ", self.user, self.server);
                match rpassword::prompt_password(prompt) {
                    Ok(text) => self.some(text, "the answer at the terminal"),
                    Err(error) => Err(self.problem(
                        format!("the terminal gave no answer: {error}"),
                        "Choose `env`, `file` or `keyring` for the password.".to_owned(),
                    )),
                }
            }
        }
    }

    /// Tries to fetch the secret and forgets it; does not ask anybody.
    pub fn check(&self) -> Result<(), Problem> {
        let tried = match self.from {
            SecretFrom::Prompt => self.terminal(),
            _ => self.resolve().map(|_| ()),
        };
        tried.map_err(|problem| *problem)
    }

    fn terminal(&self) -> Result<(), Box<Problem>> {
        if std::io::stdin().is_terminal() {
            return Ok(());
        }
        Err(self.problem(
            "it is asked for at the terminal, and there is none".to_owned(),
            "Run cutover at a terminal, or choose `env`, `file` or `keyring` for the password.".to_owned(),
        ))
    }

    fn some(&self, text: String, place: &str) -> Result<Secret, Box<Problem>> {
        if text.is_empty() {
            return Err(self.problem(format!("{place} is empty"), "Put the password there.".to_owned()));
        }
        Ok(Secret(text))
    }

    fn problem(&self, why: String, help: String) -> Box<Problem> {
        let kind = ProblemKind::Secret { server: self.server.clone(), why };
        Box::new(Problem { kind, at: Some(self.at.clone()), help })
    }
}
