//! What the derives make of plain types.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use foldhost_plugin_sdk::describe::{IndexField, ParameterKind};
use foldhost_plugin_sdk::{Command, Day, Document, Event, Json, Query, Time};
use serde_json::{Value, json};

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

/// A plain type with what serde lets one say about it.
#[derive(Clone, Debug, PartialEq, Json)]
#[serde(rename_all = "camelCase")]
struct Address {
    street_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    house_number: Option<u32>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Json)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    PrivateHome,
    Office,
}

/// A tree, which holds itself.
#[derive(Debug, PartialEq, Json)]
struct Tree {
    branches: Vec<Tree>,
}

#[derive(Debug, PartialEq, Json)]
#[serde(transparent)]
struct Amount(u32);

#[derive(Command)]
enum Order {
    /// Moves
    /// somewhere else.
    ///
    /// Not part of the description.
    MoveTo {
        /// Where to.
        address: Address,
        since: Day,
    },
    #[command(name = "stay")]
    StayWhereYouAre,
    #[allow(dead_code, reason = "read by its name alone")]
    Pay {
        #[serde(rename = "sum")]
        amount: Amount,
        #[serde(default)]
        r#type: Option<String>,
    },
}

#[test]
fn a_plain_type_is_written_and_read_as_serde_is_told() {
    let address = Address {
        street_name: "Main".into(),
        house_number: None,
        kind: Kind::PrivateHome,
    };
    let json = json!({ "streetName": "Main", "kind": "private-home" });
    assert_eq!(serde_json::to_value(&address).unwrap(), json);
    assert_eq!(serde_json::from_value::<Address>(json).unwrap(), address);
    assert_eq!(serde_json::to_value(Kind::Office).unwrap(), json!("office"));
    assert_eq!(serde_json::to_value(Amount(3)).unwrap(), json!(3));
}

#[test]
fn a_type_may_hold_itself() {
    let tree = Tree {
        branches: vec![Tree {
            branches: Vec::new(),
        }],
    };
    let json = serde_json::to_string(&tree).unwrap();
    assert_eq!(serde_json::from_str::<Tree>(&json).unwrap(), tree);
}

#[test]
fn commands_are_described_by_name_comment_and_schema() {
    let types = Order::types();
    let names: Vec<_> = types.iter().map(|command| command.name.as_str()).collect();
    assert_eq!(names, ["move-to", "stay", "pay"]);
    assert_eq!(types[0].description, "Moves somewhere else.");
    let schema = parse(&types[0].schema);
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], json!(["address", "since"]));
    assert_eq!(schema["properties"]["address"]["description"], "Where to.");
    // Schemas are put into larger documents, so they refer to nothing outside of themselves.
    let kind = &schema["properties"]["address"]["properties"]["kind"];
    assert_eq!(kind["enum"], json!(["private-home", "office"]));
    assert_eq!(schema["properties"]["since"]["format"], "date");
}

#[test]
fn commands_are_read_by_their_names() {
    let payload =
        br#"{"address": {"streetName": "Main", "kind": "office"}, "since": "2026-11-23"}"#;
    let moved = Order::read("move-to", payload).unwrap();
    assert!(matches!(&moved, Order::MoveTo { address, .. } if address.kind == Kind::Office));
    assert!(matches!(
        Order::read("stay", b"").unwrap(),
        Order::StayWhereYouAre
    ));
    assert!(matches!(
        Order::read("pay", br#"{"sum": 3}"#).unwrap(),
        Order::Pay {
            amount: Amount(3),
            r#type: None
        }
    ));
}

#[test]
fn a_command_is_written_as_it_is_read() {
    let (name, payload) = Order::Pay {
        amount: Amount(3),
        r#type: Some("cash".into()),
    }
    .write();
    assert_eq!(
        (name, parse(&payload)),
        ("pay", json!({ "sum": 3, "type": "cash" }))
    );
    let (name, payload) = Order::StayWhereYouAre.write();
    assert_eq!((name, parse(&payload)), ("stay", json!({})));
}

#[track_caller]
fn check_refusal(name: &str, payload: &str, expected: &str) {
    assert_eq!(
        Order::read(name, payload.as_bytes()).err().as_deref(),
        Some(expected)
    );
}

#[test]
fn a_command_that_cannot_be_read_says_which_field_and_why() {
    check_refusal(
        "go",
        "{}",
        "there is no command `go`; there is `move-to`, `stay`, `pay`",
    );
    check_refusal(
        "pay",
        r#"{"sum": "3"}"#,
        "field `sum`: invalid type: string \"3\", expected u32",
    );
    check_refusal(
        "stay",
        r#"{"here": 1}"#,
        "field `here`: unknown field `here`, there are no fields",
    );
    check_refusal(
        "move-to",
        r#"{"address": {"streetName": "Main", "kind": "tent"}, "since": "2026-11-23"}"#,
        "field `address.kind`: unknown variant `tent`, expected `private-home` or `office`",
    );
    check_refusal(
        "move-to",
        r#"{"since": "2026-02-29"}"#,
        "field `since`: \"2026-02-29\" is not a day such as 2026-11-23",
    );
}

#[derive(Debug, PartialEq, Event)]
#[event(aggregate = "post")]
enum Wanted {
    Created {
        at: Time,
    },
    #[event(aggregate = "user", name = "Created")]
    UserCreated {
        name: String,
    },
    #[event(version = 2, upcast(1 => keep))]
    Renamed {
        name: String,
    },
    Gone,
}

fn keep(data: Value) -> Result<Value, String> {
    Ok(data)
}

#[test]
fn events_of_several_aggregates_are_told_apart() {
    let read =
        |aggregate, name, data: &str| Wanted::read(aggregate, name, 1, data.as_bytes()).unwrap();
    let at = Time::from_micros(0);
    assert_eq!(
        read("post", "Created", r#"{"at": "1970-01-01T00:00:00Z"}"#),
        Some(Wanted::Created { at })
    );
    assert_eq!(
        read("user", "Created", r#"{"name": "a"}"#),
        Some(Wanted::UserCreated { name: "a".into() })
    );
    assert_eq!(
        read("post", "Renamed", r#"{"name": "a"}"#),
        Some(Wanted::Renamed { name: "a".into() })
    );
    assert_eq!(read("user", "Renamed", "{}"), None);
    assert_eq!(
        read("post", "Gone", r#"{"why": "unknown"}"#),
        Some(Wanted::Gone)
    );
    assert_eq!(read("post", "Other", "{}"), None);
}

#[test]
fn events_are_described_by_aggregate_type_and_versions() {
    let types = Wanted::types();
    let described: Vec<_> = types
        .iter()
        .map(|event| {
            (
                event.aggregate,
                event.name,
                event.schema_version,
                event.reads.as_slice(),
            )
        })
        .collect();
    let expected: [(_, _, _, &[u32]); 4] = [
        (Some("post"), "Created", 1, &[1]),
        (Some("user"), "Created", 1, &[1]),
        (Some("post"), "Renamed", 2, &[1, 2]),
        (Some("post"), "Gone", 1, &[1]),
    ];
    assert_eq!(described, expected);
}

#[test]
fn events_are_written_in_their_newest_version() {
    let event = Wanted::Renamed { name: "a".into() }.write();
    assert_eq!((event.name.as_str(), event.schema_version), ("Renamed", 2));
    assert_eq!(parse(&event.data), json!({ "name": "a" }));
    assert_eq!(Wanted::Gone.write().data, b"{}");
}

#[derive(Document)]
#[document(collection = "homes", index("city", "-since"), index("details.rooms"))]
struct Home {
    city: String,
    since: Time,
    sold: Option<Time>,
    details: Details,
    visits: Vec<Visit>,
}

#[derive(Json)]
struct Details {
    rooms: u32,
    built: Time,
}

#[derive(Json)]
struct Visit {
    at: Time,
}

#[test]
fn a_document_declares_its_collection_indexes_and_dates() {
    let collection = Home::collection();
    assert_eq!(collection.name, "homes");
    let field = |path, descending| IndexField { path, descending };
    assert_eq!(
        collection.indexes,
        [
            vec![field("city", false), field("since", true)],
            vec![field("details.rooms", false)]
        ]
    );
    assert_eq!(collection.date_fields, ["details.built", "since", "sold"]);
}

#[derive(Debug, PartialEq, Query)]
#[query(document = Home)]
enum Ask {
    /// Homes by what is known of them.
    FindHomes {
        /// Where they are.
        city: String,
        rooms: Option<u8>,
        most_expensive: f64,
        sold: bool,
        since: Option<Day>,
    },
    #[query(name = "everything")]
    All,
}

#[test]
fn queries_are_described_by_their_parameters() {
    let types = Ask::types();
    assert_eq!(
        (types[0].name.as_str(), types[0].collection.as_str()),
        ("find-homes", "homes")
    );
    assert_eq!(types[0].description, "Homes by what is known of them.");
    assert_eq!(types[1].name, "everything");
    let parameters: Vec<_> = types[0]
        .parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.kind, parameter.required))
        .collect();
    assert_eq!(
        parameters,
        [
            ("city", ParameterKind::Text, true),
            ("rooms", ParameterKind::Integer, false),
            ("most_expensive", ParameterKind::Number, true),
            ("sold", ParameterKind::Boolean, true),
            ("since", ParameterKind::Text, false),
        ]
    );
    assert_eq!(types[0].parameters[0].description, "Where they are.");
}

#[test]
fn queries_are_read_and_refused() {
    let asked = Ask::read(
        "find-homes",
        br#"{"city": "Ulm", "most_expensive": 1.5, "sold": false}"#,
    )
    .unwrap();
    let expected = Ask::FindHomes {
        city: "Ulm".into(),
        rooms: None,
        most_expensive: 1.5,
        sold: false,
        since: None,
    };
    assert_eq!(asked, expected);
    assert_eq!(Ask::read("everything", b"{}").unwrap(), Ask::All);
    let refused = Ask::read("everything", br#"{"page": 1}"#).unwrap_err();
    assert_eq!(refused.code(), "invalid-parameter");
    assert_eq!(
        Ask::read("nothing", b"{}").unwrap_err().code(),
        "unknown-query"
    );
}
