//! The routes of the dashboard in one table: the router is made of it, and tests try every door that it lists.
//!
//! A page is for whoever is signed in, a form for whoever it was shown to; what is open to everybody is called so here.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    routing::{MethodRouter, get, post},
};

use crate::web::Web;

/// A route of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// With `{…}` for what differs.
    pub path: &'static str,
    /// Whether it is for everybody; else for whoever is signed in.
    pub is_open: bool,
}

/// Routes, and what they lead to.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<Arc<Web>>,
    listed: Vec<Route>,
}

impl Routes {
    pub(super) fn page<T: 'static>(self, path: &'static str, page: impl Handler<T, Arc<Web>>) -> Self {
        self.add(Route { method: "GET", path, is_open: false }, get(page))
    }

    pub(super) fn form<T: 'static>(self, path: &'static str, form: impl Handler<T, Arc<Web>>) -> Self {
        self.add(Route { method: "POST", path, is_open: false }, post(form))
    }

    pub(super) fn open_page<T: 'static>(self, path: &'static str, page: impl Handler<T, Arc<Web>>) -> Self {
        self.add(Route { method: "GET", path, is_open: true }, get(page))
    }

    pub(super) fn open_form<T: 'static>(self, path: &'static str, form: impl Handler<T, Arc<Web>>) -> Self {
        self.add(Route { method: "POST", path, is_open: true }, post(form))
    }

    pub(super) fn and(mut self, others: Self) -> Self {
        self.listed.extend(others.listed);
        Self { router: self.router.merge(others.router), ..self }
    }

    pub(super) fn into_router(self) -> Router<Arc<Web>> {
        self.router
    }

    pub(super) fn into_list(self) -> Vec<Route> {
        self.listed
    }

    fn add(mut self, route: Route, leads_to: MethodRouter<Arc<Web>>) -> Self {
        self.listed.push(route);
        Self { router: self.router.route(route.path, leads_to), ..self }
    }
}
