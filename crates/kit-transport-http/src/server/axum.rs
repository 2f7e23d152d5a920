//! The routes as an axum router.

use axum::Router;
use kit_base::IntoService;

use super::HttpServer;
use crate::BuildError;

impl<C> HttpServer<C> {
    /// The service as an axum router: to merge with routes of axum's own, to nest, to put tower-http layers over.
    ///
    /// The paths of this server belong to it with all their verbs: what it does not answer there is 405. All others are left
    /// to the router. What axum layers and extractors put into the extensions of a request is found in the extensions of the context.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn into_axum(self) -> Result<Router, BuildError> {
        let routes = self.routes()?;
        let service = IntoService::new(routes.clone());
        Ok(routes.paths().fold(Router::new(), |router, path| router.route_service(path, service.clone())))
    }
}
