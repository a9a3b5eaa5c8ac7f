//! Read models: `GET /v1/collections/…` and `GET /v1/queries/{name}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::error::{Kind, Problem};
use super::json::{self, answer};
use super::openapi::{Components, Described, Operation, item};
use super::request::{Params, Segments};
use super::{Api, Routes};
use crate::catalog::Catalog;
use crate::message::{Json, JsonLimits, Position};
use crate::plugin::{Collection, ParameterKind, QueryType};
use crate::query::{Documents, FindDocuments};
use crate::read_store::{FieldPath, Filter, SortKey};

/// Says that the stream of the position that was waited for is parked, so that its effect may be missing.
const PARKED: HeaderName = HeaderName::from_static("foldhost-parked");
/// A filter of 64 comparisons fits well; a query string is not for more.
const MAX_FILTER: usize = 16 * 1024;
/// As many as an index has fields at most in practice.
const MAX_SORT_KEYS: usize = 8;

pub(super) fn routes() -> Routes {
    Routes::default()
        .route(
            "/v1/collections/{collection}",
            get(find),
            Described::PerPlugin(describe_collections),
        )
        .route(
            "/v1/collections/{collection}/{id}",
            get(document),
            Described::PerPlugin(describe_documents),
        )
        .route(
            "/v1/queries/{name}",
            get(query),
            Described::PerPlugin(describe_queries),
        )
}

async fn find(
    State(api): State<Arc<Api>>,
    Segments((collection,)): Segments<(String,)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let filter = params
        .take("filter")?
        .map_or(Ok(Filter::everything()), |text| filter(&text))?;
    let sort = params
        .take("sort")?
        .map_or(Ok(Vec::new()), |text| sort(&text))?;
    let page = params.page()?;
    params.finish()?;
    Ok(list(
        &api.host
            .find(&collection, FindDocuments { filter, sort, page })
            .await?,
    ))
}

async fn document(
    State(api): State<Arc<Api>>,
    Segments((collection, id)): Segments<(String, String)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let wait = params.wait()?;
    params.finish()?;
    let found = api.host.document(&collection, &id, wait).await?;
    let Some((_, document)) = found.items.first() else {
        let id: String = id.chars().take(200).collect();
        let problem = Problem::new(
            Kind::UnknownDocument,
            format!("collection {collection} has no document {id:?}"),
        );
        // A missing document may be one whose event is parked.
        return Err(match found.parked {
            Some(position) => problem.with("parked", position.0),
            None => problem,
        });
    };
    Ok(marked(answer(document.as_str().to_owned()), found.parked))
}

async fn query(
    State(api): State<Arc<Api>>,
    Segments((name,)): Segments<(String,)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let page = params.page()?;
    Ok(list(&api.host.query(&name, params.rest()?, page).await?))
}

fn list(documents: &Documents) -> Response {
    let write = |out: &mut String, (_, document): &(String, Json)| out.push_str(document.as_str());
    marked(
        answer(json::list(
            &documents.items,
            documents.next.as_deref(),
            write,
        )),
        documents.parked,
    )
}

fn marked(mut response: Response, parked: Option<Position>) -> Response {
    if let Some(position) = parked {
        response
            .headers_mut()
            .insert(PARKED, HeaderValue::from(position.0));
    }
    response
}

fn filter(text: &str) -> Result<Filter, Problem> {
    let limits = JsonLimits {
        bytes: MAX_FILTER,
        ..JsonLimits::bytes(MAX_FILTER)
    };
    let json = Json::parse(text.as_bytes(), limits);
    let json =
        json.map_err(|error| Problem::new(Kind::InvalidFilter, format!("the filter is {error}")))?;
    Ok(Filter::parse(&json.to_value())?)
}

/// Reads `field,-field`.
fn sort(text: &str) -> Result<Vec<SortKey>, Problem> {
    let invalid = |detail: String| Problem::new(Kind::InvalidSort, detail);
    let mut keys: Vec<SortKey> = Vec::new();
    for part in text.split(',') {
        let (path, descending) = part
            .strip_prefix('-')
            .map_or((part, false), |path| (path, true));
        let path = FieldPath::parse(path)
            .map_err(|error| invalid(error.to_string()))?
            .to_string();
        if keys.iter().any(|key| key.path == path) {
            return Err(invalid(format!("the sort names {path} twice")));
        }
        keys.push(SortKey { path, descending });
    }
    if keys.len() > MAX_SORT_KEYS {
        return Err(invalid(format!(
            "the sort has {} fields; the most is {MAX_SORT_KEYS}",
            keys.len()
        )));
    }
    Ok(keys)
}

fn collections(catalog: &Catalog) -> impl Iterator<Item = &Collection> {
    let projections = catalog
        .plugins()
        .filter_map(|plugin| plugin.descriptor.projection.as_ref());
    projections.flat_map(|projection| projection.collections.iter())
}

fn schema_of(collection: &Collection, components: &mut Components) -> Value {
    components.add(&format!("document.{}", collection.name), &collection.schema)
}

fn describe_collections(catalog: &Catalog, components: &mut Components) -> Vec<(String, Value)> {
    let described = collections(catalog).map(|collection| {
        let name = &collection.name;
        let schema = schema_of(collection, components);
        let operation = Operation::new(
            format!("collection.{name}"),
            "collections",
            format!("{name}: find documents"),
        )
        .query_json(
            "filter",
            "What documents must match, such as {\"field\": {\"gte\": 3}}",
        )
        .query(
            "sort",
            json!({ "type": "string" }),
            "field,-field: the second one descending",
        )
        .page()
        .wait()
        .gives_list(&schema, "Documents")
        .refuses(&[Kind::InvalidFilter, Kind::InvalidSort])
        .refuses(READING);
        (
            format!("/v1/collections/{name}"),
            item([("get", operation)]),
        )
    });
    described.collect()
}

fn describe_documents(catalog: &Catalog, components: &mut Components) -> Vec<(String, Value)> {
    let described = collections(catalog).map(|collection| {
        let name = &collection.name;
        let schema = schema_of(collection, components);
        let operation = Operation::new(
            format!("document.{name}"),
            "collections",
            format!("{name}: one document"),
        )
        .path("id", "The document's id")
        .wait()
        .gives_as("application/json", schema, "The document")
        .refuses(&[Kind::UnknownDocument])
        .refuses(READING);
        (
            format!("/v1/collections/{name}/{{id}}"),
            item([("get", operation)]),
        )
    });
    described.collect()
}

fn describe_queries(catalog: &Catalog, components: &mut Components) -> Vec<(String, Value)> {
    let projections = catalog
        .plugins()
        .filter_map(|plugin| plugin.descriptor.projection.as_ref());
    let queries = projections.flat_map(|projection| {
        let of = |query: &QueryType| {
            projection
                .collections
                .iter()
                .find(|it| it.name == query.collection)
                .cloned()
        };
        projection
            .queries
            .iter()
            .filter_map(move |query| Some((query, of(query)?)))
    });
    let described = queries.map(|(query, collection)| {
        let schema = schema_of(&collection, components);
        (
            format!("/v1/queries/{}", query.name),
            item([("get", query_operation(query, &schema))]),
        )
    });
    described.collect()
}

fn query_operation(query: &QueryType, schema: &Value) -> Operation {
    let name = &query.name;
    let mut operation =
        Operation::new(format!("query.{name}"), "queries", name.as_str()).about(&query.description);
    for parameter in &query.parameters {
        let kind = match parameter.kind {
            ParameterKind::Text => "string",
            ParameterKind::Integer => "integer",
            ParameterKind::Number => "number",
            ParameterKind::Boolean => "boolean",
        };
        operation = operation.query(
            &parameter.name,
            json!({ "type": kind }),
            &parameter.description,
        );
        if parameter.required {
            operation = operation.required();
        }
    }
    operation
        .page()
        .wait()
        .gives_list(schema, "Documents; none when nothing matches")
        .refuses(&[Kind::Rejected])
        .refuses(READING)
}

/// What can go wrong whenever documents are read.
const READING: &[Kind] = &[
    Kind::InvalidParameter,
    Kind::UnknownParameter,
    Kind::InvalidCursor,
    Kind::UnknownCollection,
    Kind::CursorGone,
    Kind::PluginFailed,
    Kind::Unavailable,
    Kind::NotReached,
    Kind::QueryTooSlow,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_is_a_list_of_paths_with_directions() {
        let keys = sort("likes,-posted.at").unwrap();
        let pairs: Vec<_> = keys
            .iter()
            .map(|key| (key.path.as_str(), key.descending))
            .collect();
        assert_eq!(pairs, [("likes", false), ("posted.at", true)]);
        for bad in [
            "",
            "-",
            "a,",
            "a,-a",
            "a b",
            "$a",
            "_foldhost",
            "a,b,c,d,e,f,g,h,i",
        ] {
            assert!(sort(bad).is_err(), "{bad}");
        }
    }
}
