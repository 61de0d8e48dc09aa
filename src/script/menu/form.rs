//! The arguments of a command as a form.

use crate::script::command::{Argument, ArgumentKind, CommandSpec, PREFIX};
use crate::xep::data_forms::{self, Choice, Field, FieldKind, Form, FormKind};

/// Bytes that all values of a form may have together.
pub(super) const LARGEST: usize = 32 * 1024;

/// The form that asks for the arguments, with what was filled in before.
pub(super) fn form(spec: &CommandSpec, help: &str, values: &[(String, String)]) -> Form {
    let field = |argument: &Argument| {
        let filled = values.iter().find(|(var, _)| *var == argument.name).map(|(_, value)| value.clone());
        let value = filled.or_else(|| argument.default.clone());
        Field {
            label: Some(argument.name.replace('_', " ")),
            desc: hint(&argument.kind).map(str::to_owned),
            required: !argument.optional,
            options: options(&argument.kind),
            values: value.map(|value| spelled(&argument.kind, &value)).into_iter().collect(),
            ..Field::new(argument.name.as_str(), kind(&argument.kind))
        }
    };
    let help = Some(help.trim()).filter(|help| !help.is_empty());
    Form {
        title: Some(spec.usage()),
        instructions: help.map(str::to_owned).into_iter().collect(),
        fields: spec.arguments.iter().map(field).collect(),
        ..Form::new(FormKind::Form)
    }
}

/// What was filled in, by argument, as it would be typed.
pub(super) fn given(spec: &CommandSpec, answer: &Form) -> Vec<(String, String)> {
    let value = |argument: &Argument| {
        let value = answer.field(&argument.name)?.value()?.trim();
        let value = match (&argument.kind, data_forms::boolean(value)) {
            (ArgumentKind::Bool, Some(flag)) => flag.to_string(),
            _ => value.to_owned(),
        };
        (!value.is_empty()).then(|| (argument.name.clone(), value))
    };
    spec.arguments.iter().filter_map(value).collect()
}

/// The command as somebody would have typed it.
pub(super) fn typed(spec: &CommandSpec, values: &[(String, String)]) -> String {
    let mut text = format!("{PREFIX}{}", spec.name);
    for argument in &spec.arguments {
        let Some((_, value)) = values.iter().find(|(var, _)| *var == argument.name) else { continue };
        let words = value.contains(char::is_whitespace) && argument.kind != ArgumentKind::Rest;
        text.push_str(&if words { format!(" \"{value}\"") } else { format!(" {value}") });
    }
    text
}

fn kind(kind: &ArgumentKind) -> FieldKind {
    match kind {
        ArgumentKind::Bool => FieldKind::Boolean,
        ArgumentKind::Choice(_) => FieldKind::ListSingle,
        ArgumentKind::Jid | ArgumentKind::Room | ArgumentKind::User => FieldKind::JidSingle,
        ArgumentKind::Float
        | ArgumentKind::Int
        | ArgumentKind::Rest
        | ArgumentKind::Span
        | ArgumentKind::When
        | ArgumentKind::Word => FieldKind::TextSingle,
    }
}

/// What to fill in, where the field does not show it.
fn hint(kind: &ArgumentKind) -> Option<&'static str> {
    match kind {
        ArgumentKind::Float => Some("a number"),
        ArgumentKind::Int => Some("a whole number"),
        ArgumentKind::Room => Some("the address of a room"),
        ArgumentKind::Span => Some("a span such as 10m"),
        ArgumentKind::User => Some("somebody's address"),
        ArgumentKind::When => Some("a time such as 10m or 17:30"),
        ArgumentKind::Bool
        | ArgumentKind::Choice(_)
        | ArgumentKind::Jid
        | ArgumentKind::Rest
        | ArgumentKind::Word => None,
    }
}

fn options(kind: &ArgumentKind) -> Vec<Choice> {
    let ArgumentKind::Choice(choices) = kind else { return Vec::new() };
    choices.iter().map(|choice| Choice { label: Some(choice.clone()), value: choice.clone() }).collect()
}

/// A value as the field spells it: a default stands in the script as it is typed.
fn spelled(kind: &ArgumentKind, value: &str) -> String {
    match kind {
        ArgumentKind::Bool => {
            let yes = ["true", "yes", "on", "1"].iter().any(|word| word.eq_ignore_ascii_case(value));
            if yes { "true" } else { "false" }.to_owned()
        }
        ArgumentKind::Choice(choices) => {
            let same = choices.iter().find(|choice| choice.eq_ignore_ascii_case(value));
            same.map_or_else(|| value.to_owned(), Clone::clone)
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::writer;

    #[test]
    fn f2_the_form_follows_from_the_types_of_the_arguments() {
        let spec = spec(
            "set <way:choice(Left|Right)> <to:user> <n:int> [loud:bool=yes] [dir:choice(A|B)=b] [why:rest]",
        );
        let form = form(&spec, "Sets it", &[]);
        let shown: Vec<String> = form
            .fields
            .iter()
            .map(|field| {
                let name = field.var.as_deref().unwrap_or_default();
                let must = if field.required { "!" } else { "" };
                let options: Vec<&str> = field.options.iter().map(|option| option.value.as_str()).collect();
                format!(
                    "{name}{must} {} {} {}",
                    field.kind().as_str(),
                    options.join("|"),
                    field.values.join(",")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "way! list-single Left|Right ",
                "to! jid-single  ",
                "n! text-single  ",
                "loud boolean  true",
                "dir list-single A|B B",
                "why text-single  "
            ]
        );
        assert_eq!(
            (form.title.as_deref(), form.instructions),
            (Some("!set <Left|Right> <to> <n> [loud] [A|B] [why]"), vec!["Sets it".to_owned()])
        );
        assert!(writer::to_string(&form_of(&spec)).is_ok());
    }

    #[test]
    fn f2_what_is_filled_in_is_what_would_be_typed() {
        let spec = spec("say <who:word> [loud:bool] [what:rest]");
        let mut answer = Form::new(FormKind::Submit);
        for (var, value) in [("who", " two words "), ("loud", "1"), ("what", "a b"), ("other", "x")] {
            answer.fields.push(Field::new(var, FieldKind::TextSingle).with_value(value));
        }
        let values = given(&spec, &answer);
        assert_eq!(typed(&spec, &values), "!say \"two words\" true a b");
        answer.fields.truncate(1);
        assert_eq!(typed(&spec, &given(&spec, &answer)), "!say \"two words\"");
    }

    fn form_of(spec: &CommandSpec) -> crate::xml::Element {
        form(spec, "", &[("n".to_owned(), "3".to_owned())]).to_element()
    }

    fn spec(text: &str) -> CommandSpec {
        CommandSpec::parse(text).expect("valid")
    }
}
