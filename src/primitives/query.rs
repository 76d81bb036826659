//! `query`: as `sql`, but refused before it is sent unless the text is provably a read.

use rhai::Dynamic;

use super::sql::{PARAMS, SERVER, TEXT, perform, prepare};
use super::{ArgumentError, Call, Class, Primitive, Raised};
use crate::effect;

pub static QUERY: Primitive = Primitive {
    name: "query",
    parameters: &[SERVER, TEXT, PARAMS],
    options: &[],
    class: Class::Reads,
    returns: "a result: `.rows`, `.first()`, `.value()`, `.sets`, `.affected`, `.messages`",
    doc: "As `sql`, but refused before it is sent if the text is not provably a read: SELECT without INTO, RESTORE HEADERONLY and its kin, \
          the documented reading procedures such as sp_who2 and sp_help_log_shipping_secondary_database.",
    examples: &[
        r#"let row = query("backup", "SELECT name, state_desc FROM sys.databases WHERE name = @db", #{ db: site.database }).first(); note(`${row.name} is ${row.state_desc}`);"#,
        r#"for row in query("backup", "EXEC sp_who2").rows { note(`${row.SPID} ${row.DBName}`); }"#,
    ],
    run,
};

fn run(call: &mut Call<'_, '_>) -> Result<Dynamic, Raised> {
    let prepared = prepare(call)?;
    if let Some(change) = &prepared.class.change {
        return Err(Raised::Argument(ArgumentError {
            argument: 1,
            key: None,
            within: Some(change.range.clone()),
            message: format!("`query` only reads, and this is not provably a read: {}", change.why),
            help: "use `sql` for a change, with a `done_when` that proves it".to_owned(),
        }));
    }
    perform(call, &QUERY, effect::Class::Reads, prepared)
}
