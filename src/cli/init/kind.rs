//! What a new bot can do first, and where its password can come from: one line each.

use clap::ValueEnum;

/// What the first script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Answer commands.
    Commands,
    /// Greet people.
    Greet,
    /// Answer from a list that admins teach.
    Faq,
    /// Tell somebody what is posted over HTTP.
    Webhook,
    /// Say back what it is told.
    Nothing,
}

/// The files of a kind; `NAME` in them is the bot's name.
pub struct Template {
    /// The script.
    pub script: &'static str,
    /// Its test, where it can be tested by talking.
    pub chat: Option<&'static str>,
    /// What the entry of the script in bots.yaml has besides its file.
    pub entry: &'static str,
    /// Further sections of bots.yaml.
    pub sections: &'static str,
    /// Secrets to be made: files below `secrets/`.
    pub secrets: &'static [&'static str],
}

impl Kind {
    /// The answers to the question, the first being the usual one.
    pub fn labels() -> Vec<(Self, String)> {
        vec![
            (Self::Commands, "answer commands".to_owned()),
            (Self::Greet, "greet people".to_owned()),
            (Self::Faq, "answer questions from a list".to_owned()),
            (Self::Webhook, "post from a webhook".to_owned()),
            (Self::Nothing, "nothing much".to_owned()),
        ]
    }

    /// Its files.
    pub fn template(self) -> Template {
        let plain =
            |script, chat| Template { script, chat: Some(chat), entry: "", sections: "", secrets: &[] };
        match self {
            Self::Commands => {
                plain(include_str!("templates/commands.rhai"), include_str!("templates/commands.chat"))
            }
            Self::Faq => plain(include_str!("templates/faq.rhai"), include_str!("templates/faq.chat")),
            Self::Greet => plain(include_str!("templates/greet.rhai"), include_str!("templates/greet.chat")),
            Self::Nothing => {
                plain(include_str!("templates/nothing.rhai"), include_str!("templates/nothing.chat"))
            }
            Self::Webhook => Template {
                script: include_str!("templates/webhook.rhai"),
                chat: None,
                entry: "    permissions: { webhooks: [news], secrets: [news_token] }\n",
                sections: "\nsecrets:                          # a script uses one and never reads it\n  news_token: { file: secrets/news_token }\n\nwebhooks: { listen: 127.0.0.1:8085 }\n",
                secrets: &["news_token"],
            },
        }
    }
}

/// Where the password comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// An environment variable.
    Env,
    /// A file of one's own.
    File,
    /// The output of a command.
    Command,
    /// A credential of systemd.
    Credential,
    /// Typed in now, kept in `secrets/`.
    Typed,
}

impl Way {
    /// The answers to the question, the first being the usual one.
    pub fn labels(name: &str) -> Vec<(Self, String)> {
        vec![
            (Self::Env, format!("environment variable {}", variable(name))),
            (Self::File, format!("a file, ./secrets/{name}")),
            (Self::Command, "a command".to_owned()),
            (Self::Credential, "a systemd credential".to_owned()),
            (Self::Typed, format!("type it now (kept in ./secrets/{name}, mode 0600)")),
        ]
    }

    /// As it stands in bots.yaml.
    pub fn yaml(self, name: &str) -> String {
        match self {
            Self::Command => format!("{{ command: [pass, show, {name}] }}"),
            Self::Credential => format!("{{ credential: {name} }}"),
            Self::Env => format!("{{ env: {} }}", variable(name)),
            Self::File | Self::Typed => format!("{{ file: secrets/{name} }}"),
        }
    }

    /// What is left to do by hand.
    pub fn next_steps(self, name: &str) -> Vec<String> {
        match self {
            Self::Command => vec!["put your command into `password:` of bots.yaml".to_owned()],
            Self::Credential => vec![format!("LoadCredential={name}:/path/to/it   in the unit that runs it")],
            Self::Env => vec![format!("export {}=…", variable(name))],
            Self::File => vec![format!("put the password into secrets/{name}, mode 0600")],
            Self::Typed => Vec::new(),
        }
    }
}

/// `help-desk` → `HELP_DESK_PASSWORD`.
fn variable(name: &str) -> String {
    format!("{}_PASSWORD", name.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_offered_once_and_names_the_bot() {
        let kinds: Vec<Kind> = Kind::labels().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, Kind::value_variants());
        let ways: Vec<Way> = Way::labels("x").into_iter().map(|(way, _)| way).collect();
        assert_eq!(ways, Way::value_variants());
        assert_eq!(Way::Env.yaml("help-desk"), "{ env: HELP_DESK_PASSWORD }");
    }

    #[test]
    fn templates_stand_on_the_name_alone() {
        for kind in Kind::value_variants() {
            let template = kind.template();
            assert!(template.script.starts_with("// NAME.rhai: "), "{kind:?}");
            if let Some(chat) = template.chat {
                assert!(chat.starts_with("script: ../scripts/NAME.rhai\n"), "{kind:?}");
            }
        }
    }
}
