//! The pages of the error codes: for each code the doc comment, the message and the help of where it is defined. Both ways of
//! defining one are read: `#[diagnostic(code(…))]` on a variant or a struct, and a function `code` that matches on them.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Arm, Attribute, Expr, Fields, File, ImplItem, Item, Lit, LitStr, Meta, Token, Type};

/// What is known of one code.
#[derive(Default)]
struct Page {
    means: Vec<String>,
    messages: Vec<String>,
    help: Vec<String>,
    exit: Option<String>,
}

/// A slice of `Code`, as Rust text, sorted by code.
pub fn of(folder: &Path) -> Result<String, Box<dyn Error>> {
    let mut pages = BTreeMap::new();
    read(folder, &mut pages)?;
    let mut text = "&[\n".to_owned();
    for (code, page) in pages {
        let Page { means, messages, help, exit } = page;
        let (means, exit) = (means.join(" "), exit.map_or("None".to_owned(), |exit| format!("Some(exit::{exit})")));
        writeln!(text, "    Code {{ code: {code:?}, means: {means:?}, messages: &{messages:?}, help: &{help:?}, exit: {exit} }},")?;
    }
    text.push(']');
    Ok(text)
}

fn read(folder: &Path, pages: &mut BTreeMap<String, Page>) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            read(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            let text = fs::read_to_string(&path)?;
            if text.contains("code(cutover::") || text.contains("\"cutover::") {
                Defined::in_file(&syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?).add_to(pages);
            }
        }
    }
    Ok(())
}

/// The types of one file, and what their functions say of them.
#[derive(Default)]
struct Defined<'a> {
    /// type, variant (none for a struct), attributes, fields
    variants: Vec<(String, Option<String>, &'a [Attribute], &'a Fields)>,
    /// type and function → variant → what the function says; a function without a match says it of the empty name
    said: HashMap<(String, &'static str), Vec<(String, String)>>,
}

/// Functions that say something of a variant.
const CODE: &str = "code";
const HELP: &[&str] = &["help", "advice"];
/// the first that says something
const MESSAGE: &[&str] = &["title", "fmt"];
const EXIT: &str = "exit";

impl<'a> Defined<'a> {
    fn in_file(file: &'a File) -> Self {
        let mut defined = Self::default();
        for item in &file.items {
            match item {
                Item::Enum(item) => defined.variants.extend(
                    item.variants.iter().map(|v| (item.ident.to_string(), Some(v.ident.to_string()), v.attrs.as_slice(), &v.fields)),
                ),
                Item::Struct(item) => defined.variants.push((item.ident.to_string(), None, &item.attrs, &item.fields)),
                Item::Impl(item) => {
                    let Type::Path(of) = &*item.self_ty else { continue };
                    let Some(of) = of.path.segments.last().map(|segment| segment.ident.to_string()) else { continue };
                    // `fmt` of Debug says nothing to people
                    if item.trait_.as_ref().is_some_and(|(path, _)| path.segments.last().is_some_and(|last| last.ident == "Debug")) {
                        continue;
                    }
                    for item in &item.items {
                        let ImplItem::Fn(function) = item else { continue };
                        let name = function.sig.ident.to_string();
                        let Some(name) = [CODE, EXIT].iter().chain(MESSAGE).chain(HELP).find(|known| **known == name) else { continue };
                        let mut arms = Arms { exits: *name == EXIT, ..Arms::default() };
                        arms.visit_block(&function.block);
                        if arms.found.is_empty() {
                            let mut text = Text::default();
                            text.visit_block(&function.block);
                            arms.found.extend(text.0.map(|text| (String::new(), text)));
                        }
                        defined.said.entry((of.clone(), name)).or_default().extend(arms.found);
                    }
                }
                _ => {}
            }
        }
        defined
    }

    fn said(&self, of: &str, function: &'static str, variant: Option<&str>) -> Option<String> {
        let said = self.said.get(&(of.to_owned(), function))?;
        said.iter().find(|(of, _)| of == variant.unwrap_or_default()).map(|(_, text)| text.clone())
    }

    fn add_to(&self, pages: &mut BTreeMap<String, Page>) {
        for (of, variant, attributes, fields) in &self.variants {
            let variant = variant.as_deref();
            let told = diagnostic(attributes);
            let code = told.0.or_else(|| self.said(of, CODE, variant)).filter(|code| code.starts_with("cutover::"));
            let Some(code) = code else { continue };
            let page = pages.entry(code).or_default();
            page.means.extend(Some(doc(attributes)).filter(|doc| !doc.is_empty()));
            let message = form(attributes.iter().find(|a| a.path().is_ident("error")).and_then(tokens), fields);
            let said = |functions: &[&'static str]| functions.iter().find_map(|f| self.said(of, f, variant)).map(|text| named(&text, &[]));
            page.messages.extend(message.or_else(|| said(MESSAGE)));
            let help = form(told.1, fields).or_else(|| said(HELP));
            // one that is worked out when it happens has no form
            page.help.extend(help.filter(|help| !help.starts_with('<') || !help.ends_with('>')));
            let carried = || self.carrier(of).and_then(|(of, variant)| self.said(of, EXIT, Some(variant)));
            page.exit = self.said(of, EXIT, variant).or_else(carried).or(page.exit.take());
        }
    }

    /// The type and the variant of this file that hold nothing but the type, boxed or not.
    fn carrier(&self, of: &str) -> Option<(&str, &str)> {
        self.variants.iter().find_map(|(holder, variant, _, fields)| {
            let Fields::Unnamed(fields) = fields else { return None };
            let mut inside = LastWords::default();
            fields.unnamed.iter().for_each(|field| inside.visit_type(&field.ty));
            inside.0.iter().any(|name| name == of).then_some((holder.as_str(), variant.as_deref()?))
        })
    }
}

/// The words of a doc comment, in one line.
fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn tokens(attribute: &Attribute) -> Option<TokenStream> {
    attribute.meta.require_list().ok().map(|list| list.tokens.clone())
}

/// The code of `#[diagnostic(code(…), help(…))]`, and what stands in its help.
fn diagnostic(attributes: &[Attribute]) -> (Option<String>, Option<TokenStream>) {
    let (mut code, mut help) = (None, None);
    let inside = attributes.iter().filter(|attribute| attribute.path().is_ident("diagnostic")).filter_map(tokens);
    for tokens in inside {
        let mut word = String::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => word = ident.to_string(),
                TokenTree::Group(group) if word == "code" => code = Some(group.stream().to_string().replace(' ', "")),
                TokenTree::Group(group) if word == "help" => help = Some(group.stream()),
                _ => {}
            }
        }
    }
    (code, help)
}

/// How a message reads: the text of `"…", arguments`, with `<field>` for what is put in.
fn form(tokens: Option<TokenStream>, fields: &Fields) -> Option<String> {
    let mut parts: Vec<Vec<TokenTree>> = vec![Vec::new()];
    for token in tokens? {
        match &token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => parts.push(Vec::new()),
            _ => parts.last_mut()?.push(token),
        }
    }
    let text = syn::parse2::<LitStr>(parts.first()?.iter().cloned().collect()).ok()?.value();
    let field_names: Vec<String> = fields.iter().filter_map(|field| field.ident.as_ref().map(ToString::to_string)).collect();
    let is_flag = |name: &str| {
        fields.iter().any(|field| {
            field.ident.as_ref().is_some_and(|ident| ident == name) && matches!(&field.ty, Type::Path(ty) if ty.path.is_ident("bool"))
        })
    };
    let arguments: Vec<String> = parts[1..]
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| {
            let stream: TokenStream = part.iter().cloned().collect();
            let mut words = Words::default();
            words.look(stream);
            // `if … { "one" } else { "several" }`: the last of them
            if words.idents.first().is_some_and(|word| word == "if") {
                return named(&words.text.unwrap_or_default(), &[]);
            }
            match words.idents.iter().find(|word| field_names.contains(word)) {
                // what a flag adds is not always there
                Some(name) if is_flag(name) => String::new(),
                Some(name) => format!("<{}>", name.replace('_', " ")),
                None => "<…>".to_owned(),
            }
        })
        .collect();
    Some(named(&text, &arguments))
}

/// `{name}` as `<name>`, and `{}` as the arguments say in their order.
fn named(text: &str, arguments: &[String]) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut next = arguments.iter();
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else { break };
        let name = inside.split(':').next().unwrap_or_default();
        let put = match name {
            "" => next.next().cloned().unwrap_or_else(|| "<…>".to_owned()),
            "0" => "<…>".to_owned(),
            name => format!("<{}>", name.replace('_', " ")),
        };
        // the same thing said in more words
        if !(before.is_empty() && out.ends_with(&put)) {
            out.push_str(&put);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Identifiers, and the last text, of some tokens.
#[derive(Default)]
struct Words {
    idents: Vec<String>,
    text: Option<String>,
}

impl Words {
    fn look(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => self.idents.push(ident.to_string()),
                TokenTree::Group(group) => self.look(group.stream()),
                TokenTree::Literal(literal) => {
                    self.text = syn::parse_str::<LitStr>(&literal.to_string()).ok().map(|text| text.value()).or(self.text.take());
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
}

/// What the arms of a match say: each variant of a pattern with the first text, or the last word of the first path, behind it.
#[derive(Default)]
struct Arms {
    /// paths are wanted, not texts
    exits: bool,
    found: Vec<(String, String)>,
}

impl<'a> Visit<'a> for Arms {
    fn visit_arm(&mut self, arm: &'a Arm) {
        let mut variants = LastWords::default();
        variants.visit_pat(&arm.pat);
        let said = if self.exits {
            match &*arm.body {
                Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
                _ => None,
            }
        } else {
            let mut text = Text::default();
            text.visit_expr(&arm.body);
            text.0
        };
        if let Some(said) = said {
            self.found.extend(variants.0.into_iter().map(|variant| (variant, said.clone())));
        }
    }
}

/// The last word of each path.
#[derive(Default)]
struct LastWords(Vec<String>);

impl<'a> Visit<'a> for LastWords {
    fn visit_path(&mut self, path: &'a syn::Path) {
        self.0.extend(path.segments.last().map(|last| last.ident.to_string()));
        // what a type holds
        visit::visit_path(self, path);
    }
}

/// The first text of an expression, in a macro or not.
#[derive(Default)]
struct Text(Option<String>);

impl<'a> Visit<'a> for Text {
    fn visit_lit_str(&mut self, text: &'a LitStr) {
        self.0.get_or_insert_with(|| text.value());
    }

    fn visit_macro(&mut self, inside: &'a syn::Macro) {
        if self.0.is_none() {
            let texts = inside.parse_body_with(syn::punctuated::Punctuated::<Expr, Token![,]>::parse_terminated);
            for expression in texts.iter().flatten() {
                self.visit_expr(expression);
            }
        }
        visit::visit_macro(self, inside);
    }
}
