import PetrelKit
